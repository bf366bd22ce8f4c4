#!/usr/bin/env bash
# Prints the licences of what is compiled into a program besides its own code, as they are
# in the module cache and in Go:
#   packaging/licences.sh >THIRD_PARTY_LICENSES
#   packaging/licences.sh tbctl-engines engines ./tbctl-engines >engines/THIRD_PARTY_LICENSES
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."

# texts NAME DIRECTORY prints the licences, patent grants and notices that are there.
texts() {
  local found=0 file
  for file in "$2"/*; do
    case $(basename "$file" | tr '[:lower:]' '[:upper:]') in
      LICENSE* | LICENCE* | COPYING* | NOTICE* | PATENTS*) ;;
      *) continue ;;
    esac
    found=1
    printf '%s\n%s, %s\n%s\n\n' "$rule" "$1" "$(basename "$file")" "$rule"
    tr -d '\r' <"$file"
    printf '\n'
  done
  [ "$found" = 1 ] || { echo "licences.sh: $1 has no licence in $2" >&2; exit 1; }
}

program=${1:-tbctl} dir=${2:-.} main=${3:-./cmd/tbctl}
rule=$(printf '=%.0s' {1..80})
echo "$program holds code of others. These are their licences."
echo
texts "Go's standard library and runtime" "$(go env GOROOT)"
for platform in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do
  GOOS=${platform%/*} GOARCH=${platform#*/} CGO_ENABLED=0 go list -C "$dir" -deps \
    -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{"\t"}}{{.Dir}}{{end}}{{end}}' "$main"
done | sort -u | while IFS=$'\t' read -r module dir; do
  case $module in "" | github.com/tbctl/tbctl) continue ;; esac
  texts "$module" "$dir"
done
