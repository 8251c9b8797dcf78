package apiserver_test

import (
	"context"
	"fmt"
	"strings"
)

const (
	group      = "/apis/trail-operator.dev/v1alpha1"
	namespaces = "/api/v1/namespaces"
)

// trails is the path of a namespace's Trails.
func trails(namespace string) string { return group + "/namespaces/" + namespace + "/trails" }

// trail is a valid Trail, with more metadata in YAML's flow style.
func trail(name, metadata string) string {
	return fmt.Sprintf(`
apiVersion: trail-operator.dev/v1alpha1
kind: Trail
metadata: {name: %q%s}
spec: {s3BucketName: audit-logs, region: eu-central-1}
`, name, metadata)
}

// version returns the resource version of an object, now.
func (s *session) version(path string) string {
	answer := s.send(context.Background(), "GET", path, nil, nil) //nolint:bodyclose // read does.
	return response{body: read(answer)}.version()
}

// replace replaces a text in another, once.
func replace(text, old, other string) string { return strings.Replace(text, old, other, 1) }
