#!/usr/bin/env bash
# Checks that a release can be made of the last commit, twice with the same bytes,
# and that the Debian package works: installed, pressed TAB in, removed. Everything
# happens in clones; the checkout stays as it is. It needs no network once the Go
# modules are there, and takes minutes. build.sh makes and keeps the packages, with less ado.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
installed=
finish() {
  if [ -n "$installed" ]; then dpkg --purge tbctl >/dev/null || true; fi
  rm -rf "$scratch"
}
trap finish EXIT

step() { printf '\n== %s (%ss)\n' "$*" "$SECONDS"; }
fail() { printf 'packaging/check.sh: %s\n' "$*" >&2; exit 1; }

step "goreleaser"
goreleaser=$(bash packaging/goreleaser.sh)

commit=$(git rev-parse HEAD)
step "two snapshots of $commit, in different directories"
for place in one elsewhere/two; do
  git clone --quiet --no-checkout . "$scratch/$place"
  (
    cd "$scratch/$place"
    git checkout --quiet "$commit"
    "$goreleaser" check
    "$goreleaser" release --snapshot --clean --skip=sbom,sign >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
    [ -z "$(git status --porcelain)" ] || { git status --short; exit 1; }
  )
done
one=$scratch/one/dist/release
two=$scratch/elsewhere/two/dist/release

step "the same bytes"
cmp "$one/tbctl_linux_amd64_v1/tbctl" "$two/tbctl_linux_amd64_v1/tbctl"
cmp "$one/tbctl-engines_linux_amd64_v1/tbctl-engines" "$two/tbctl-engines_linux_amd64_v1/tbctl-engines"
diff "$one/SHA256SUMS" "$two/SHA256SUMS"
(cd "$one" && sha256sum --check SHA256SUMS)
cat "$one/SHA256SUMS"

# Bytes, stripped, for linux/amd64. They grow by a decision, and not by an import that nobody saw. How long tbctl takes to start is measured by bench,
# and asserted nowhere: a busy machine would fail it.
step "size"
no_larger() { # PROGRAM MAXIMUM
  local size
  size=$(wc -c <"$one/$1_linux_amd64_v1/$1")
  echo "$1: $size bytes, at most $2"
  [ "$size" -le "$2" ] || fail "$1 has $size bytes, at most $2: leave out what made it larger, or raise the number here and say why"
}
no_larger tbctl 18000000
no_larger tbctl-engines 19000000

step "what is in an archive"
archive=$(echo "$one"/tbctl_*_linux_amd64.tar.gz)
tar -tzf "$archive" >"$scratch/list"
for name in tbctl LICENSE THIRD_PARTY_LICENSES README.md man/tbctl.1 man/tbctl-install.1 completions/tbctl.bash completions/tbctl.fish completions/_tbctl \
    contrib/systemd/tbctl-metrics.timer contrib/prometheus/tbctl.rules.yml contrib/ansible/plugins/modules/tbctl_install.py; do
  grep -qx "$name" "$scratch/list" || fail "$archive has no $name"
done
tar -tzf "$(echo "$one"/tbctl-engines_*_linux_amd64.tar.gz)" >"$scratch/list"
for name in tbctl-engines LICENSE THIRD_PARTY_LICENSES README.md; do
  grep -qx "$name" "$scratch/list" || fail "the archive of tbctl-engines has no $name"
done
if command -v readelf >/dev/null 2>&1; then
  readelf --program-headers "$one/tbctl_linux_amd64_v1/tbctl" >"$scratch/headers"
  ! grep -q INTERP "$scratch/headers" || fail "the binary is not static"
else
  echo "skipped: whether the binary is static, no readelf here"
fi

step "the Debian package"
if [ "$(id -u)" != 0 ] || ! command -v dpkg >/dev/null 2>&1; then
  echo "skipped: dpkg -i takes root"
  exit 0
fi
if dpkg --status tbctl >/dev/null 2>&1; then
  echo "skipped: a package tbctl is installed already"
  exit 0
fi
package=$(echo "$one"/tbctl_*_linux_"$(dpkg --print-architecture)".deb)
installed=yes
# Images of containers may leave out manual pages.
dpkg --install --path-include='/usr/share/man/*' --path-include='/usr/share/doc/*' "$package" >/dev/null
/usr/bin/tbctl version
cmp THIRD_PARTY_LICENSES /usr/share/doc/tbctl/THIRD_PARTY_LICENSES
cmp contrib/systemd/tbctl-metrics.service /usr/lib/systemd/system/tbctl-metrics.service
cmp contrib/prometheus/tbctl.dashboard.json /usr/share/tbctl/prometheus/tbctl.dashboard.json
diff -r contrib/ansible /usr/share/tbctl/ansible
[ ! -e /usr/bin/tbctl-engines ] || fail "the package tbctl brings tbctl-engines"
dpkg --info "$(echo "$one"/tbctl-engines_*_linux_"$(dpkg --print-architecture)".deb)" >"$scratch/info"
grep -q '^ Package: tbctl-engines$' "$scratch/info" || fail "there is no package tbctl-engines"
if command -v man >/dev/null 2>&1; then
  man -w tbctl tbctl-install
  man tbctl-install >"$scratch/page" 2>&1
  grep -q 'tbctl install' "$scratch/page" || fail "the manual page is not shown"
else
  echo "skipped: man -w, no man here"
fi
COMPLETIONS_INSTALLED=/usr/bin/tbctl go test -count=1 -run '^TestInstalled$' -v ./completions
dpkg --purge tbctl >/dev/null
installed=
for name in /usr/bin/tbctl /usr/share/man/man1/tbctl.1.gz /usr/share/bash-completion/completions/tbctl /usr/share/zsh/vendor-completions/_tbctl; do
  [ ! -e "$name" ] || fail "$name is still there"
done

step "done"
