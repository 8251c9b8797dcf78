# Newcomers need two targets: `make demo` and `make test`. `make` lists the others.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# Where the operator's image is published: config/manager/kustomization.yaml says so, for the chart too.
REPOSITORY := $(shell awk '$$1 == "newName:" { print $$2 }' config/manager/kustomization.yaml)
IMG        ?= $(REPOSITORY):$(VERSION)

# Additional arguments for `go test`, such as TEST_ARGS="-race -v -run TestTrail".
TEST_ARGS ?=
# What to test.
PKG ?= ./...
# Additional arguments for `make bench`; bin/bench -h lists them.
BENCH_ARGS ?=
# Additional arguments for the operator in `make run`.
RUN_ARGS ?=

SHELL := /usr/bin/env bash -euo pipefail
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this help
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Try it

.PHONY: demo
demo: build ## Show the operator at work, without a cluster or an AWS account (KEEP=1 keeps it running)
	go build -o bin/demo ./hack/demo
	KUBEBUILDER_ASSETS="$$(hack/controlplane/get.sh)" KEEP="$(KEEP)" bin/demo

.PHONY: run
run: build ## Run the operator locally, against the current KUBECONFIG (RUN_ARGS="--flag=value ...")
	bin/trail-operator --leader-elect=false $(RUN_ARGS)

##@ Develop

.PHONY: build
build: ## Build bin/trail-operator
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/trail-operator .

.PHONY: test
test: bin/helm bin/kustomize ## Run all tests against a real API server (TEST_ARGS="-race -run ...", PKG=./controllers/...)
	KUBEBUILDER_ASSETS="$$(hack/controlplane/get.sh)" go test $(TEST_ARGS) $(PKG)

# The oldest Kubernetes that the chart allows.
OLDEST_KUBERNETES = $(shell sed -n 's/^kubeVersion: ">=\([0-9]*\.[0-9]*\).*/\1/p' charts/trail-operator/Chart.yaml)

.PHONY: test-oldest
test-oldest: bin/helm bin/kustomize ## Test what the API server decides, the rules of CRDs and policies, with the oldest Kubernetes that is supported
	KUBEBUILDER_ASSETS="$$(hack/controlplane/get.sh)" EMULATED_KUBERNETES=$(OLDEST_KUBERNETES) \
		go test -count=1 $(TEST_ARGS) ./api/... ./config/policies

.PHONY: cover
cover: ## Run all tests and write the coverage to bin/coverage.html
	$(MAKE) --no-print-directory test TEST_ARGS="-coverpkg=./api/...,./controllers/... -coverprofile=bin/coverage.out $(TEST_ARGS)"
	go tool cover -html=bin/coverage.out -o bin/coverage.html
	go tool cover -func=bin/coverage.out | tail -1

.PHONY: bench
bench: build ## Measure time, calls, writes and memory of a fleet (BENCH_ARGS="-trails=500,2000")
	go build -o bin/bench ./hack/bench
	KUBEBUILDER_ASSETS="$$(hack/controlplane/get.sh)" bin/bench $(BENCH_ARGS)

# The Go modules with code of the project; the linter works on one at a time.
CODE_MODULES = . hack/compositions hack/e2e hack/image hack/release hack/terraform

.PHONY: lint
lint: bin/golangci-lint ## Lint the code
	for module in $(CODE_MODULES); do (cd "$$module" && GOWORK=off $(CURDIR)/bin/golangci-lint run $(LINT_ARGS)); done

.PHONY: lint-fix
lint-fix: LINT_ARGS = --fix
lint-fix: lint ## Lint the code, and fix what can be fixed automatically

.PHONY: fmt
fmt: bin/golangci-lint ## Format the code
	bin/golangci-lint fmt

.PHONY: vet
vet: ## Run go vet
	go vet ./...

.PHONY: clean
clean: ## Remove everything that make has built and downloaded
	chmod -R u+w bin 2>/dev/null || true
	rm -rf bin

.PHONY: test-e2e
test-e2e: build bin/helm bin/kustomize ## Run the end-to-end tests: the chart and config, two replicas, RBAC enforced (UPDATE=1 updates Argo CD's testdata)
	KUBEBUILDER_ASSETS="$$(CONTROLLER_MANAGER=1 hack/controlplane/get.sh)" GOWORK=off go -C hack/e2e test -count=1 -timeout 15m $(TEST_ARGS) ./...

.PHONY: test-terraform
test-terraform: ## Test the Terraform modules in config/aws/events, without Terraform
	GOWORK=off go -C hack/terraform test $(TEST_ARGS) ./...

.PHONY: test-compositions
test-compositions: ## Test the samples for kro, Crossplane, Kyverno and Gatekeeper, without them (CRDS=folder of the real CRDs)
	KUBEBUILDER_ASSETS="$$(hack/controlplane/get.sh)" CRDS="$(if $(CRDS),$(abspath $(CRDS)))" \
		GOWORK=off go -C hack/compositions test $(TEST_ARGS) ./...

SEEDS ?= 300
# simulate is go test with a runtime of Go in which nothing is left to chance.
SIMULATE = cd hack/simulation && $(CURDIR)/bin/simulation/simulation.test -test.v -test.timeout 0

.PHONY: simulate
simulate: bin/simulation/simulation.test ## Simulate the operator for days, in worlds from a seed (SEEDS=300, SEED=1, BRIEF=1, FOR=1h, SCRIPT=file, HISTORY=1)
	$(SIMULATE) -test.run '^(TestSimulation|TestSameHistory)$$' -seeds $(SEEDS) -folder $(CURDIR)/bin/simulation \
		$(if $(SEED),-seed $(SEED)) $(if $(BRIEF),-brief) $(if $(FOR),-for $(FOR)) $(if $(SCRIPT),-script $(abspath $(SCRIPT))) $(if $(HISTORY),-history)

.PHONY: simulate-mutants
simulate-mutants: SEEDS = 60
simulate-mutants: bin/simulation/simulation.test ## Show that the simulation finds each known mistake of the operator (SEEDS=60, MUTANTS=regexp, KEEP=1)
	$(SIMULATE) -test.run '^TestMutants$$' -mutants '$(or $(MUTANTS),.)' -seeds $(SEEDS) $(if $(SEED),-seed $(SEED)) \
		-overlay $(CURDIR)/bin/simulation/overlay.json $(if $(KEEP),-folder testdata)

.PHONY: bin/simulation/simulation.test
bin/simulation/simulation.test:
	go run ./hack/simulation/overlay bin/simulation
	go test -overlay bin/simulation/overlay.json -ldflags '-X github.com/trail-operator/trail-operator/hack/simulation_test.determined=yes' -c -o $@ ./hack/simulation

##@ Chart

CHART = charts/trail-operator

# Whether an API server takes what the chart renders under each of its ci values, and config, is among the end-to-end tests.
.PHONY: helm-lint
helm-lint: bin/helm ## Lint the chart with each of its ci values
	for values in $(CHART)/ci/*.yaml; do \
		echo "$$values"; \
		bin/helm lint --strict --quiet $(CHART) --values "$$values"; \
	done

.PHONY: helm-test
helm-test: bin/helm bin/helm-unittest ## Test the chart
	bin/helm-unittest --strict $(CHART)
	go test ./hack/chart/...

##@ Generate

# Where the markers are.
PATHS = paths=. paths=./api/... paths=./controllers/...

.PHONY: generate
generate: bin/controller-gen ## Generate the DeepCopy methods
	bin/controller-gen object paths=./api/... paths=./controllers/report

.PHONY: manifests
manifests: bin/controller-gen ## Generate the CRDs and the operator's role
	bin/controller-gen crd paths=./api/... output:crd:dir=config/crd/bases
	bin/controller-gen rbac:roleName=trail-operator $(PATHS) output:rbac:dir=config/rbac
	go run ./hack/chart

.PHONY: chart
chart: bin/helm-docs ## Generate the parts of the chart that come from config (CRDs, roles, alerts, dashboard), and its README
	go run ./hack/chart
	bin/helm-docs --chart-search-root=$(CHART) --log-level=warning

.PHONY: argocd
argocd: ## Generate argocd-cm from the scripts in config/argocd
	GOWORK=off go -C hack/e2e run ./generate

.PHONY: docs
docs: bin/crd-ref-docs ## Generate docs/api.md, the API reference, docs/metrics.md and the tables of docs/compliance.md
	bin/crd-ref-docs --source-path=api --config=hack/tools/crd-ref-docs/config.yaml --templates-dir=hack/tools/crd-ref-docs \
		--renderer=markdown --output-path=docs/api.md --log-level=WARN
	go run ./hack/observability/docs
	go run ./hack/compliance

# Every Go module in the repository.
MODULES = . hack/compositions hack/controlplane hack/e2e hack/image hack/release hack/terraform hack/tools hack/tools/lint hack/tools/helm

.PHONY: tidy
tidy: ## Tidy every go.mod
	for module in $(MODULES); do GOWORK=off go -C $$module mod tidy; done

.PHONY: verify
verify: ## Fail if anything generated, tidied or formatted is out of date
	hack/verify.sh

##@ Deploy

.PHONY: install
install: bin/kustomize ## Install the CRDs into the current cluster
	bin/kustomize build config/crd | kubectl apply --server-side -f -
	kubectl wait --for=condition=Established --timeout=60s \
		crd/trails.trail-operator.dev crd/awsidentities.trail-operator.dev crd/eventlookups.trail-operator.dev \
		crd/logfilevalidations.trail-operator.dev

.PHONY: uninstall
uninstall: bin/kustomize no-trails ## Remove the CRDs from the current cluster
	bin/kustomize build config/crd | kubectl delete --ignore-not-found -f -

.PHONY: deploy
deploy: install ## Deploy the operator to the current cluster (IMG=...)
	rm -rf bin/deploy
	mkdir -p bin/deploy
	cd bin/deploy && ../kustomize create --resources ../../config/default && \
		../kustomize edit set image "$(REPOSITORY)=$(IMG)"
	bin/kustomize build bin/deploy | kubectl apply --server-side -f -

.PHONY: undeploy
undeploy: bin/kustomize no-trails ## Remove the operator from the current cluster
	kubectl delete awsidentities.trail-operator.dev --all --ignore-not-found
	bin/kustomize build config/default | kubectl delete --ignore-not-found -f -

# Only a running operator can release a Trail, so the Trails must be deleted first.
.PHONY: no-trails
no-trails:
	@trails=$$(kubectl get trails.trail-operator.dev --all-namespaces --no-headers 2>/dev/null || true); \
	if [[ -n $$trails ]]; then \
		echo "Delete these Trails first (deletionPolicy: Retain keeps the trail in AWS):"; echo "$$trails"; exit 1; \
	fi

.PHONY: docker-build
docker-build: ## Build the image with Docker, for one architecture (IMG=...)
	docker build --build-arg VERSION=$(VERSION) -t $(IMG) .

# The platforms of the image.
IMAGE_PLATFORMS = linux-amd64 linux-arm64

# build-binaries PLATFORMS: builds the program for each OS-ARCH, the same bytes on every machine with the same Go.
define build-binaries
	for platform in $(1); do \
		CGO_ENABLED=0 GOOS=$${platform%-*} GOARCH=$${platform#*-} \
			go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/image/$$platform/trail-operator .; \
	done
endef

.PHONY: image
image: ## Write the image for amd64 and arm64 as an OCI archive, bin/image.tar, without a container engine, and test it (IMG=...)
	$(call build-binaries,$(IMAGE_PLATFORMS))
	GOWORK=off go -C hack/image run . -binaries $(CURDIR)/bin/image -version $(VERSION) -name "$(IMG)" \
		-output $(CURDIR)/bin/image.tar
	IMAGE=$(CURDIR)/bin/image.tar GOWORK=off go -C hack/image test ./...

##@ Release

# Where a release goes: the image as REGISTRY/trail-operator, and the chart as REGISTRY/charts/trail-operator.
REGISTRY ?= $(patsubst %/,%,$(dir $(REPOSITORY)))
# Where everything else that users take is written.
DIST ?= dist
# The binaries that users take; those of the image must be among them.
PLATFORMS ?= $(IMAGE_PLATFORMS) darwin-amd64 darwin-arm64
RELEASE = GOWORK=off go -C hack/release run . $(1) -root $(CURDIR) -version $(VERSION) -registry $(REGISTRY) \
	-dist $(abspath $(DIST)) -helm $(CURDIR)/bin/helm -kustomize $(CURDIR)/bin/kustomize

# The time that everything in a release has: the one of the commit.
release release-push: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)

.PHONY: release
release: bin/helm bin/kustomize ## Write a release into dist, the same bytes each time: image, chart, manifests, binaries (VERSION=v0.1.0 REGISTRY=ghcr.io/example)
	@$(call RELEASE,check)
	rm -rf $(DIST) bin/image
	$(call build-binaries,$(PLATFORMS))
	GOWORK=off go -C hack/image run . -binaries $(CURDIR)/bin/image -version $(VERSION) \
		-name $(REGISTRY)/trail-operator:$(VERSION) -sboms $(abspath $(DIST)) \
		-output $(abspath $(DIST))/trail-operator_$(VERSION)_image.tar
	$(call RELEASE,prepare) -binaries $(CURDIR)/bin/image -platforms "$(PLATFORMS)"

.PHONY: release-push
release-push: bin/helm bin/kustomize ## Push the image and the chart of the release in dist (VERSION=v0.1.0 REGISTRY=ghcr.io/example)
	@$(call RELEASE,push)

# A prerelease, which is of what the changelog has as unreleased.
TEST_VERSION = v0.0.0-test

.PHONY: release-test
release-test: ## Write a release twice, compare, push it to a registry on loopback and pull it back
	for time in first second; do \
		$(MAKE) --no-print-directory release VERSION=$(TEST_VERSION) REGISTRY=registry.example.com/team DIST=bin/release/$$time \
			PLATFORMS="$(IMAGE_PLATFORMS)"; \
	done
	diff -r bin/release/first bin/release/second
	DIST=$(CURDIR)/bin/release/first VERSION=$(TEST_VERSION) HELM=$(CURDIR)/bin/helm GOWORK=off \
		go -C hack/release test -count=1 $(TEST_ARGS) ./...

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in what the code calls (asks vuln.go.dev)
	GOWORK=off go -C hack/release tool govulncheck -C $(CURDIR) ./...

##@ Tools

.PHONY: controlplane
controlplane: ## Get etcd and kube-apiserver; the last line of the output is their folder
	@hack/controlplane/get.sh

.PHONY: controlplane-full
controlplane-full: ## Get etcd, kube-apiserver and kube-controller-manager
	@CONTROLLER_MANAGER=1 hack/controlplane/get.sh

.PHONY: tools
tools: bin/controller-gen bin/setup-envtest bin/kustomize bin/ginkgo bin/crd-ref-docs bin/golangci-lint ## Build the tools
tools: bin/helm bin/helm-docs bin/helm-unittest

# build-tool MODULE,PACKAGE[,LDFLAGS]: builds a tool at the version that MODULE's go.mod pins.
# touch, because go leaves a binary that is up to date as old as it is.
define build-tool
	GOWORK=off CGO_ENABLED=0 go -C $(1) build -trimpath -ldflags "-s -w $(3)" -o $(CURDIR)/$@ $(2)
	@touch $@
endef

bin/controller-gen: hack/tools/go.mod hack/tools/go.sum
	$(call build-tool,hack/tools,sigs.k8s.io/controller-tools/cmd/controller-gen)
bin/setup-envtest: hack/tools/go.mod hack/tools/go.sum
	$(call build-tool,hack/tools,sigs.k8s.io/controller-runtime/tools/setup-envtest)
bin/kustomize: hack/tools/go.mod hack/tools/go.sum
	$(call build-tool,hack/tools,sigs.k8s.io/kustomize/kustomize/v5)
bin/ginkgo: hack/tools/go.mod hack/tools/go.sum
	$(call build-tool,hack/tools,github.com/onsi/ginkgo/v2/ginkgo)
bin/crd-ref-docs: hack/tools/go.mod hack/tools/go.sum
	$(call build-tool,hack/tools,github.com/elastic/crd-ref-docs)
bin/golangci-lint: hack/tools/lint/go.mod hack/tools/lint/go.sum
	$(call build-tool,hack/tools/lint,github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
# By default, helm assumes Kubernetes 1.20 if it cannot ask a cluster.
HELM_KUBE_MINOR = $$(GOWORK=off go -C hack/tools/helm list -m -f '{{.Version}}' k8s.io/client-go | cut -d. -f2)
HELM_LDFLAGS = -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=$(HELM_KUBE_MINOR) \
	-X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=$(HELM_KUBE_MINOR)
bin/helm: hack/tools/helm/go.mod hack/tools/helm/go.sum
	$(call build-tool,hack/tools/helm,helm.sh/helm/v3/cmd/helm,$(HELM_LDFLAGS))
bin/helm-docs: hack/tools/helm/go.mod hack/tools/helm/go.sum
	$(call build-tool,hack/tools/helm,github.com/norwoodj/helm-docs/cmd/helm-docs)
bin/helm-unittest: hack/tools/helm/go.mod hack/tools/helm/go.sum
	$(call build-tool,hack/tools/helm,github.com/helm-unittest/helm-unittest/cmd/helm-unittest)
