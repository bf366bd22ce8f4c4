//go:build linux

package torture

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/vfs"
)

// storing is a command that changes the store.
type storing struct {
	name   string
	before []string // releases in the store
	damage string   // of which this one has changed
	args   func(p *place) []string
	said   func(t *testing.T, p *place) []byte // or what a controller says to this host
	after  []string
}

func storings() []storing {
	bring := func(p *place) []string { return []string{"store", "import", p.source(binaryNew)} }
	old, both := []string{binaryOld}, []string{binaryOld, binaryNew}
	return []storing{
		{name: "import", before: old, args: bring, after: both},
		{name: "import again", before: both, args: bring, after: both},
		{name: "heal", before: both, damage: binaryNew, args: bring, after: both},
		{name: "verify", before: both, damage: binaryNew, args: func(*place) []string { return []string{"store", "verify"} }, after: old},
		{name: "prune", before: []string{binaryOlder, binaryOld, binaryNew}, args: func(*place) []string { return []string{"store", "prune"} }, after: []string{binaryNew}},
		{name: "sent whole", before: old, said: sentWhole, after: both},
		{name: "sent whole, heals", before: both, damage: binaryNew, said: sentWhole, after: both},
		{name: "sent as a delta", before: old, said: sentDelta, after: both},
		{name: "copied", before: old, said: copiedFrom, after: both},
		{name: "copied, heals", before: both, damage: binaryNew, said: copiedFrom, after: both},
	}
}

// sampled says that it is disturbed in a quick run too.
func (s storing) sampled() bool {
	return slices.Contains([]string{"import", "prune", "sent whole", "sent as a delta", "copied"}, s.name)
}

const pathStored = "/v1/store/sha256/"

// sentWhole sends the new binary.
func sentWhole(t *testing.T, _ *place) []byte {
	data := binaries(t)[binaryNew].data
	return spoken(t, http.MethodPut, pathStored+digestOf(data), data)
}

// sentDelta sends what a host that has the old binary lacks of the new one.
func sentDelta(t *testing.T, p *place) []byte {
	t.Helper()
	data, files := binaries(t)[binaryNew].data, &delta.Files{}
	files.Open(testbin.Load(t, binaries(t)[binaryOld].data), "old", nil)
	file := delta.NewFile(digestOf(data), bytes.NewReader(data))
	head := file.For(func(checksum multiversion.Checksum) bool { return files.Held[checksum] != nil })
	if _, lacking := head.Recipe.Lacking(); lacking >= int64(len(data)) {
		t.Fatal("it is no delta: all of it is lacking")
	}
	body, err := new(delta.Press).Make(t.Context(), file, head)
	check(t, err)
	return spoken(t, http.MethodPut, pathStored+digestOf(data)+"/delta?target="+url.QueryEscape(p.target), body)
}

// copiedFrom lets the host copy the new binary from another, which is this process for as long as the test runs.
func copiedFrom(t *testing.T, p *place) []byte {
	t.Helper()
	dir, data := t.TempDir(), binaries(t)[binaryNew].data
	giver := &remote.Host{
		Installer: &install.Installer{FS: vfs.OS()}, Targets: []string{filepath.Join(dir, "tigerbeetle")},
		Store: depot.Open(vfs.OS(), filepath.Join(dir, "store")), Depot: "127.0.0.1:0",
	}
	t.Cleanup(func() { giver.Close() })
	ask := func(method, path string, body []byte) []byte {
		answer := httptest.NewRecorder()
		giver.Handler().ServeHTTP(answer, httptest.NewRequest(method, path, bytes.NewReader(body)))
		if answer.Code != http.StatusOK {
			t.Fatalf("%s %s: %s", method, path, answer.Body)
		}
		return answer.Body.Bytes()
	}
	ask(http.MethodPut, pathStored+digestOf(data), data)
	var opened remote.DepotAnswer
	check(t, json.Unmarshal(ask(http.MethodPost, "/v1/depot", fmt.Appendf(nil, `{"artifact":%q}`, digestOf(data))), &opened))
	return asking(t, "/v1/copy", remote.CopyRequest{
		Target: p.target, Artifact: digestOf(data), Size: int64(len(data)), From: opened.Address, Token: opened.Token, Certificate: opened.Certificate,
	})
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
		if !sha.Is(entry.Name()) {
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

// TestStoreFaults disturbs every call that changes something, above all by kill -9, of an import, of one that heals, of a prune, and of a host
// to which an artifact is sent, whole and as a delta, or which copies it from another: what has an artifact's name is whole, what was
// there and is wanted stays, a success that is told is true, and the same again converges and leaves nothing over.
func TestStoreFaults(t *testing.T) {
	t.Parallel()
	whats := []disturbance{{Signal: syscall.SIGKILL}, {SignalAfter: syscall.SIGKILL}, {Errno: syscall.EIO}, {Errno: syscall.ENOSPC, Onward: true}}
	for index, s := range storings() {
		if !full() && !s.sampled() {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, quickDir(t))
			p.env = append(p.env, "TBCTL_TARGET="+p.target)
			kept := s.prepare(t, p)
			p.put(t, p.target, binaryOld)
			var said []byte
			if s.said != nil {
				said = s.said(t, p)
			}
			run := func(what disturbance) traced {
				check(t, os.RemoveAll(p.state))
				check(t, os.CopyFS(p.state, os.DirFS(kept)))
				if said != nil {
					return p.hosted(t, said, what, nil)
				}
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
					s.judge(t, p, said, got, undisturbed.Code, text)
				}
			}
			remarked("calls disturbed: store "+s.name, "%d calls an operation", count)
		})
	}
}

func (s storing) judge(t *testing.T, p *place, said []byte, got traced, code int, text string) {
	t.Helper()
	now := s.stored(t, p, text)
	for _, release := range s.after {
		if slices.Contains(s.before, release) && release != s.damage && !slices.Contains(now, release) {
			t.Fatalf("%s: %s is gone, left %q", text, release, now)
		}
	}
	// A host ends well whatever it answered, and its answer says which it was.
	succeeded := got.Signal == 0 && got.Code == code && (said == nil || strings.Contains(got.stdout, `"size"`))
	if succeeded && !slices.Equal(now, s.after) {
		t.Fatalf("%s: it says that it is done, and there is %q, want %q", text, now, s.after)
	}
	var again ran
	if said != nil {
		of := p.hosted(t, said, disturbance{}, nil)
		again = ran{of.Code, of.stdout, of.stderr}
	} else {
		again = p.run(t, s.args(p)...)
	}
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
