#!/usr/bin/env bash
# Gets prometheus and promtool for the tests of the alerts and of the dashboard, and prints the folder that they are in as the
# last line of its output.
#
# The first of these that has both wins: PROMETHEUS_ASSETS; PATH; what an earlier run has got; Debian's package, unpacked into bin/
# and not installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

finish() {
  [[ -x $1/prometheus && -x $1/promtool ]] || return 0
  echo "$1"
  exit 0
}

[[ -z ${PROMETHEUS_ASSETS:-} ]] || finish "$PROMETHEUS_ASSETS"
if found=$(command -v promtool); then
  finish "$(dirname "$found")"
fi
folder=$PWD/bin/prometheus
finish "$folder/usr/bin"

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
  echo "prometheus.sh: no prometheus and promtool in PATH: install Prometheus, or set PROMETHEUS_ASSETS to a folder that has both" >&2
  exit 1
fi
mkdir -p "$folder"
(
  cd "$folder"
  apt-get download prometheus >&2 || { apt-get update >&2 && apt-get download prometheus >&2; }
  dpkg-deb -x prometheus_*.deb .
  rm prometheus_*.deb
)
finish "$folder/usr/bin"
echo "prometheus.sh: the package has no prometheus or no promtool" >&2
exit 1
