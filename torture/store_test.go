//go:build linux

package torture

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/depot"
)

// storing is a command that changes the store.
type storing struct {
	name   string
	before []string // releases in the store
	damage string   // of which this one has changed
	args   func(p *place) []string
	after  []string
}

func storings() []storing {
	bring := func(p *place) []string { return []string{"store", "import", p.source(binaryNew)} }
	return []storing{
		{"import", []string{binaryOld}, "", bring, []string{binaryOld, binaryNew}},
		{"import again", []string{binaryOld, binaryNew}, "", bring, []string{binaryOld, binaryNew}},
		{"heal", []string{binaryOld, binaryNew}, binaryNew, bring, []string{binaryOld, binaryNew}},
		{"verify", []string{binaryOld, binaryNew}, binaryNew, func(*place) []string { return []string{"store", "verify"} }, []string{binaryOld}},
		{"prune", []string{binaryOlder, binaryOld, binaryNew}, "", func(*place) []string { return []string{"store", "prune"} }, []string{binaryNew}},
	}
}

func (p *place) storeDir() string { return filepath.Join(p.state, "store", "sha256") }

// prepare makes the store of before, once in a directory beside.
func (s storing) prepare(t *testing.T, p *place) string {
	t.Helper()
	check(t, os.RemoveAll(p.state))
	for _, release := range s.before {
		if got := p.run(t, "store", "import", p.source(release)); got.code != 0 {
			t.Fatalf("import %s: exit %d: %s", release, got.code, got.stderr)
		}
	}
	if s.damage != "" {
		data := slices.Clone(binaries(t)[s.damage].data)
		data[len(data)/2] ^= 1
		check(t, os.WriteFile(filepath.Join(p.storeDir(), digestOf(binaries(t)[s.damage].data)), data, 0o644))
	}
	kept := p.state + "-kept"
	check(t, os.Rename(p.state, kept))
	return kept
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// stored are the releases in the store. What has an artifact's name is whole, unless it had changed before, and its receipts can be read.
func (s storing) stored(t *testing.T, p *place, what string) []string {
	t.Helper()
	names := make(map[string]string)
	for release, fixture := range binaries(t) {
		names[digestOf(fixture.data)] = release
	}
	entries, err := os.ReadDir(p.storeDir())
	check(t, err)
	var releases []string
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(p.storeDir(), entry.Name()))
		check(t, err)
		if digest, ok := strings.CutSuffix(entry.Name(), ".receipts"); ok {
			var receipts []depot.Receipt
			if err := json.Unmarshal(data, &receipts); err != nil || len(receipts) == 0 || names[digest] == "" {
				t.Fatalf("%s: %s: %v", what, entry.Name(), err)
			}
		}
		if !depot.IsDigest(entry.Name()) {
			continue
		}
		release := names[entry.Name()]
		if digestOf(data) == entry.Name() {
			releases = append(releases, release)
		} else if release != s.damage {
			t.Fatalf("%s: %s has other bytes", what, entry.Name())
		}
	}
	slices.SortFunc(releases, func(a, b string) int { return len(a) - len(b) + strings.Compare(a, b) })
	return releases
}

// TestStoreFaults disturbs every call that changes something, of an import, of one that heals, and of a prune: what has an artifact's name
// is whole, what was there and is wanted stays, an exit of 0 is true, and the same command again converges.
func TestStoreFaults(t *testing.T) {
	t.Parallel()
	whats := []disturbance{{Signal: syscall.SIGKILL}, {SignalAfter: syscall.SIGKILL}, {Errno: syscall.EIO}, {Errno: syscall.ENOSPC, Onward: true}}
	for index, s := range storings() {
		if !full() && s.name != "import" && s.name != "prune" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, quickDir(t))
			p.env = append(p.env, "TBCTL_TARGET="+p.target)
			kept := s.prepare(t, p)
			run := func(what disturbance) traced {
				check(t, os.RemoveAll(p.state))
				check(t, os.CopyFS(p.state, os.DirFS(kept)))
				return trace(t, what, func(command *exec.Cmd) { command.Env = append(p.env, command.Env[len(command.Env)-1]) }, nil, p.args(s.args(p)...)...)
			}
			undisturbed := run(disturbance{})
			count := len(undisturbed.Calls)
			if got := s.stored(t, p, "undisturbed"); !slices.Equal(got, s.after) {
				t.Fatalf("undisturbed: exit %d, %q, want %q: %s", undisturbed.Code, got, s.after, undisturbed.stderr)
			}
			for _, what := range whats {
				for number := 1 + index%sample(8, 1); number <= count; number += sample(8, 1) {
					what.At = number
					got := run(what)
					if len(got.Calls) < number {
						continue
					}
					tried("calls of the store disturbed: "+s.name, 1)
					text := fmt.Sprintf("%s: call %d of %d, %s: %s: exit %d, signal %d: %s", s.name, number, count, got.Calls[number-1], what, got.Code, got.Signal, got.stderr)
					s.judge(t, p, got, undisturbed.Code, text)
				}
			}
			remarked("calls disturbed: store "+s.name, "%d calls an operation", count)
		})
	}
}

func (s storing) judge(t *testing.T, p *place, got traced, code int, text string) {
	t.Helper()
	now := s.stored(t, p, text)
	for _, release := range s.after {
		if slices.Contains(s.before, release) && release != s.damage && !slices.Contains(now, release) {
			t.Fatalf("%s: %s is gone, left %q", text, release, now)
		}
	}
	if got.Signal == 0 && got.Code == code && !slices.Equal(now, s.after) {
		t.Fatalf("%s: it says that it is done, and there is %q, want %q", text, now, s.after)
	}
	again := p.run(t, s.args(p)...)
	if left := s.stored(t, p, text+": again"); !slices.Equal(left, s.after) || again.code != 0 && again.code != code {
		t.Fatalf("%s: again: exit %d, %q, want %q: %s", text, again.code, left, s.after, again.stderr)
	}
	entries, err := os.ReadDir(p.storeDir())
	check(t, err)
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".incoming") {
			t.Fatalf("%s: again: left over: %s", text, entry.Name())
		}
	}
}
