#!/usr/bin/env bash
# Prints the path of a goreleaser of the version that tools/release pins: the one that GORELEASER names, one on the
# PATH, or one that is built from its source and kept. To build it takes minutes, once for each version.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(cd tools/release && go list -m -f '{{.Version}}' github.com/goreleaser/goreleaser/v2)
is_it() { command -v "$1" >/dev/null 2>&1 && "$1" --version 2>/dev/null | grep -qw "${version#v}"; }

if [ -n "${GORELEASER:-}" ]; then
  command -v "$GORELEASER" >/dev/null 2>&1 || { echo "packaging/goreleaser.sh: GORELEASER: there is no $GORELEASER" >&2; exit 1; }
  command -v "$GORELEASER"
elif is_it goreleaser; then
  command -v goreleaser
else
  kept=${XDG_CACHE_HOME:-$HOME/.cache}/tbctl-packaging/goreleaser-$version-$(go env GOVERSION)
  if [ ! -x "$kept" ]; then
    echo "building goreleaser $version, once: GORELEASER=FILE takes one that is there" >&2
    mkdir -p "$(dirname "$kept")"
    CGO_ENABLED=0 go build -C tools/release -o "$kept.$$" github.com/goreleaser/goreleaser/v2
    mv "$kept.$$" "$kept"
  fi
  echo "$kept"
fi
