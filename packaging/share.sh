#!/usr/bin/env bash
# Makes the manual pages and the completion scripts of a version in dist/share.
# With SOURCE_DATE_EPOCH, the same sources give the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?usage: share.sh VERSION}

share=dist/share
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
rm -rf "$share"
mkdir -p "$share/man" "$share/completions"

CGO_ENABLED=0 go build -trimpath -ldflags "-X main.buildVersion=$version" -o "$scratch/tbctl" ./cmd/tbctl
"$scratch/tbctl" man --dir "$share/man" >/dev/null
gzip --best --no-name --keep "$share"/man/*.1
"$scratch/tbctl" completion bash >"$share/completions/tbctl.bash"
"$scratch/tbctl" completion fish >"$share/completions/tbctl.fish"
"$scratch/tbctl" completion zsh >"$share/completions/_tbctl"
