// Package e2e installs the chart into a real API server with a controller manager, runs the built operator with the
// rights of the chart's ServiceAccount, and sees that users get what the documentation promises. The API server is also
// asked whether it takes all that the chart and config render. It is `make test-e2e`.
package e2e
