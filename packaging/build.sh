#!/usr/bin/env bash
# Makes the packages of the last commit: deb, rpm and archive of tbctl and of tbctl-engines, and SHA256SUMS.
#   packaging/build.sh                    for this machine's processor, to see whether they can be made
#   packaging/build.sh --keep DIR         the same, and they are in DIR afterwards
#   packaging/build.sh --keep DIR --all   for every platform of a release
# It works in a clone, and changes nothing else. It takes a minute or two of two processors where tbctl was compiled
# before, and minutes more for the first goreleaser, see goreleaser.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

keep='' all=''
while [ $# -gt 0 ]; do
  case $1 in
    --keep) keep=${2:?usage: packaging/build.sh [--keep DIR] [--all]} && shift ;;
    --all) all=yes ;;
    *) echo "usage: packaging/build.sh [--keep DIR] [--all]" >&2 && exit 2 ;;
  esac
  shift
done
if [ -n "$keep" ]; then
  mkdir -p "$keep"
  keep=$(cd "$keep" && pwd)
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
goreleaser=$(packaging/goreleaser.sh)
git clone --quiet . "$scratch/clone"
cd "$scratch/clone"
config=goreleaser.yaml
if [ -z "$all" ]; then
  config=$scratch/one.yaml
  sed -E "s/goos: \[.*\]/goos: [linux]/; s/goarch: \[.*\]/goarch: [$(go env GOARCH)]/" goreleaser.yaml >"$config"
fi
"$goreleaser" release --config "$config" --snapshot --clean --skip=sbom,sign >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
cd dist/release
sha256sum --quiet --check SHA256SUMS
cat SHA256SUMS
if [ -n "$keep" ]; then
  cp -- *.deb *.rpm *.tar.gz SHA256SUMS "$keep"
  [ -z "$all" ] || cp -- *.zip "$keep"
  echo "kept in $keep"
fi
