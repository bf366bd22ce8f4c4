package remote

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// PushPlace is where [Dialer.Push] puts tbctl, and the only place where it replaces one.
const PushPlace = "/usr/local/bin/tbctl"

// pushScript puts what comes on its standard input in place, as MACHINE can execute it and with the SHA-256 DIGEST, in one step. It is one line, and has
// neither a single quote nor a backslash: a login shell passes it on.
const pushScript = `set -eu; umask 022; place=` + PushPlace + `; found=$(command -v tbctl || true); ` +
	`fail() { echo "$1" >&2; exit 1; }; ` +
	`[ "${found:-$place}" = "$place" ] || fail "$found is there, and is no file of ours to replace: update it as it was installed"; ` +
	`[ ! -L "$place" ] && [ ! -d "$place" ] || fail "$place is there, and is no file that could be replaced"; ` +
	`machine=$(uname -s)-$(uname -m); [ "$machine" = "MACHINE" ] || fail "the host is $machine, and this tbctl is for MACHINE"; ` +
	`dir=$(mktemp -d "${place%/*}/.tbctl-XXXXXXXXXX"); trap "rm -rf $dir" EXIT; new=$dir/tbctl; cat >"$new"; ` +
	`sum=$(sha256sum "$new"); [ "${sum%% *}" = "DIGEST" ] || fail "what came is not what was sent"; ` +
	`chmod 755 "$new"; "$new" --version >/dev/null || fail "it cannot be executed there"; ` +
	`sync "$new" 2>/dev/null || sync; mv -f "$new" "$place"; sync "${place%/*}" 2>/dev/null || sync`

// Executable is a tbctl that can be put on hosts.
type Executable struct {
	SHA256 string // hexadecimal digits

	open    func() (io.ReadCloser, error)
	machine string // that can execute it, as uname -s and uname -m say: Linux-x86_64
}

// Self is the executable that runs, whatever is at its path by now.
func Self() (*Executable, error) {
	system := cmp.Or(map[string]string{"linux": "Linux", "darwin": "Darwin"}[runtime.GOOS], runtime.GOOS)
	machine := cmp.Or(map[string]string{"linux/amd64": "x86_64", "linux/arm64": "aarch64", "darwin/amd64": "x86_64"}[runtime.GOOS+"/"+runtime.GOARCH], runtime.GOARCH)
	return newExecutable(system+"-"+machine, func() (io.ReadCloser, error) {
		if runtime.GOOS == "linux" {
			return os.Open("/proc/self/exe")
		}
		path, err := os.Executable()
		if err != nil {
			return nil, err
		}
		return os.Open(path)
	})
}

func newExecutable(machine string, open func() (io.ReadCloser, error)) (*Executable, error) {
	file, err := open()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return nil, err
	}
	return &Executable{hex.EncodeToString(hash.Sum(nil)), open, machine}, nil
}

// PushError says that tbctl was not put on a host, which has what it had.
type PushError struct {
	Host string
	Said string // by the host, not filtered for a terminal
	Err  error
}

// Error says what and, in the host's words, why.
func (e *PushError) Error() string {
	why := lastLine(e.Said)
	if why == "" {
		why = e.Err.Error()
	}
	return "host " + e.Host + ": tbctl was not put there: " + why
}

// Unwrap returns the cause.
func (e *PushError) Unwrap() error { return e.Err }

// Push puts an executable of tbctl at [PushPlace] of a host, by the same program that starts sessions, and durably. Nothing that is in another place, is a link, or
// is for another machine is replaced. On a [*PushError] the host has what it had, unless its connection was lost at the end: then it has either.
func (d *Dialer) Push(ctx context.Context, host string, executable *Executable) error {
	script := strings.NewReplacer("MACHINE", executable.machine, "DIGEST", executable.SHA256).Replace(pushScript)
	inner := append(d.Become[:len(d.Become):len(d.Become)], "/bin/sh", "-c", `"`+strings.NewReplacer(`"`, `\"`, `$`, `\$`).Replace(script)+`"`)
	words, err := d.line(host, inner)
	if err != nil {
		return &PushError{Host: host, Err: err}
	}
	file, err := executable.open()
	if err != nil {
		return &PushError{Host: host, Err: err}
	}
	defer file.Close()
	said := &tail{}
	command := exec.CommandContext(ctx, words[0], words[1:]...)
	command.Stdin, command.Stderr, command.WaitDelay = file, said, exitWait
	ownGroup(command)
	if err := command.Run(); err != nil {
		return &PushError{Host: host, Said: said.String(), Err: fmt.Errorf("send it: %w", err)}
	}
	return nil
}
