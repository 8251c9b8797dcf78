#!/usr/bin/env bash
# Regenerates, tidies and formats everything, and fails with the difference if
# anything was out of date. Works with uncommitted changes too: it compares the
# working tree before with the working tree after, and leaves the repaired one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# An API server keeps a client-side apply's manifest in an annotation of at most this size.
readonly max_crd_bytes=262144

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# snapshot: the id of a git tree of all that is not ignored, without touching the index.
snapshot() {
  rm -f "$scratch/index"
  GIT_INDEX_FILE=$scratch/index git add --all .
  GIT_INDEX_FILE=$scratch/index git write-tree
}

before=$(snapshot)
make --no-print-directory tidy generate manifests chart argocd docs fmt
after=$(snapshot)

if ! git diff --exit-code --stat --patch "$before" "$after"; then
  echo "verify: the files above were out of date and are repaired now: commit them." >&2
  echo "verify: next time run: make tidy generate manifests chart argocd docs fmt" >&2
  exit 1
fi

for crd in config/crd/bases/*.yaml; do
  size=$(wc -c <"$crd")
  if ((size >= max_crd_bytes)); then
    echo "verify: $crd has $size bytes; client-side apply takes less than $max_crd_bytes" >&2
    exit 1
  fi
done
echo "verify: everything is up to date"
