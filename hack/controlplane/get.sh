#!/usr/bin/env bash
# Gets etcd and kube-apiserver for the tests and the demo, and prints the folder
# they are in as the last line of its output; what it does meanwhile goes to
# standard error.
#
#   hack/controlplane/get.sh                             etcd and kube-apiserver
#   CONTROLLER_MANAGER=1 hack/controlplane/get.sh        and kube-controller-manager
#   CONTROLPLANE_BUILD=1 hack/controlplane/get.sh        built, even if a download would work
#
# The first of these that has all of them wins:
#   1. KUBEBUILDER_ASSETS
#   2. what an earlier run downloaded, built, or left in the user's cache
#   3. a download by setup-envtest, for the Kubernetes version that go.mod's k8s.io/api is of
#   4. a build from the Go modules in this folder's go.mod: minutes once, then cached
#
# kubectl is expected in PATH; without one there, it is got in the same way.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
export GOWORK=off

say() { echo "controlplane: $*" >&2; }

wanted=(etcd kube-apiserver)
[[ -z ${CONTROLLER_MANAGER:-} ]] || wanted+=(kube-controller-manager)
command -v kubectl >/dev/null || wanted+=(kubectl)

# complete DIR: everything that is wanted is in DIR.
complete() {
  local name
  for name in "${wanted[@]}"; do
    [[ -x $1/$name ]] || return 1
  done
}

finish() {
  echo "$1"
  exit 0
}

if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then
  if complete "$KUBEBUILDER_ASSETS"; then finish "$KUBEBUILDER_ASSETS"; fi
  say "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS lacks some of: ${wanted[*]}"
fi

# --- what a download left, or a download -------------------------------------

os=$(go env GOOS) arch=$(go env GOARCH)
downloads=$repo/bin/controlplane
api_version=$(cd "$repo" && go list -m -f '{{.Version}}' k8s.io/api) # v0.37.2 is of Kubernetes 1.37
minor=1.$(cut -d. -f2 <<<"$api_version")

downloaded() {
  local dir
  for dir in "$downloads/k8s/$minor".*-"$os-$arch"; do
    if complete "$dir"; then finish "$dir"; fi
  done
}

# limit SECONDS COMMAND...: a network that swallows packets must not hold us up.
limit() {
  if command -v timeout >/dev/null; then timeout "$@"; else "${@:2}"; fi
}

download() {
  local tool=$repo/bin/setup-envtest
  say "looking for a download of Kubernetes $minor ..."
  if make -C "$repo" --no-print-directory bin/setup-envtest >&2 &&
    limit 15 "$tool" list --bin-dir "$downloads" "$minor.x" >/dev/null 2>&1 &&
    limit 300 "$tool" use --bin-dir "$downloads" --os "$os" --arch "$arch" -p path "$minor.x" >/dev/null; then
    downloaded
  fi
  say "no download to be had; building from the Go modules instead"
}

# --- or a build ----------------------------------------------------------------

cd "$here"
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
built=$repo/bin/controlplane/$version-$os-$arch

case $os in
darwin) user_cache=${HOME:-}/Library/Caches ;;
*) user_cache=${XDG_CACHE_HOME:-${HOME:-}/.cache} ;;
esac
[[ -n ${HOME:-}${XDG_CACHE_HOME:-} ]] || user_cache=$repo/bin
hash=$(cat go.mod go.sum | git hash-object --stdin | cut -c1-16)
cache=$user_cache/trail-operator/controlplane/$hash-$os-$arch

# Kubernetes' libraries learn their version from the linker. Feature gates and
# version emulation depend on it.
IFS=. read -r major minor_of _ <<<"${version#v}"
ldflags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  ldflags+=" -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor_of"
  ldflags+=" -X $package.gitTreeState=archive"
done

build() {
  local name=$1 package=k8s.io/kubernetes/cmd/$1
  [[ $name != etcd ]] || package=go.etcd.io/etcd/server/v3
  say "building $name ..."
  local started=$SECONDS
  CGO_ENABLED=0 go build -trimpath -ldflags "$ldflags" -o "$cache/.$name.$$" "$package" >&2 9>&-
  mv "$cache/.$name.$$" "$cache/$name" # at once, so that nobody runs half a binary
  say "built $name in $((SECONDS - started))s"
}

# link_cached: the folder in the repository holds links into the user's cache.
link_cached() {
  local name
  mkdir -p "$built"
  for name in "${wanted[@]}"; do
    ln -sfn "$cache/$name" "$built/$name"
  done
  finish "$built"
}

[[ -n ${CONTROLPLANE_BUILD:-} ]] || downloaded
if complete "$cache"; then link_cached; fi
# setup-envtest's bundle has no controller manager.
[[ -n ${CONTROLPLANE_BUILD:-}${CONTROLLER_MANAGER:-} ]] || download

mkdir -p "$cache"
exec 9>"$cache/.lock"
if command -v flock >/dev/null; then
  flock -n 9 || { say "another build is under way: waiting for it" && flock 9; }
fi
say "building Kubernetes $version once, a few minutes; cached in $cache"
for name in "${wanted[@]}"; do
  [[ -x $cache/$name ]] || build "$name"
done
link_cached
