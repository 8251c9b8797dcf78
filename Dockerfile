# syntax=docker/dockerfile:1

# Go compiles for the target on the builder's own platform: no emulation for other architectures.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
WORKDIR /src

COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download

COPY main.go ./
COPY api/ api/
COPY controllers/ controllers/
COPY config/crd/bases/ config/crd/bases/
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=${TARGETOS:-linux} GOARCH=${TARGETARCH} \
    go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /trail-operator .

# Certificates, time zones and a non-root user; no shell.
FROM gcr.io/distroless/static:nonroot
ARG VERSION=dev
LABEL org.opencontainers.image.title="trail-operator" \
      org.opencontainers.image.description="Kubernetes operator for AWS CloudTrail trails" \
      org.opencontainers.image.source="https://github.com/trail-operator/trail-operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /trail-operator /trail-operator
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
ENTRYPOINT ["/trail-operator"]
