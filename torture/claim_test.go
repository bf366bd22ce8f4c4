//go:build linux

package torture

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/vfs"
)

// secretOf is what the run that a fence of a test names shows to the host.
func secretOf(fence fleet.Fence) fleet.Secret {
	return sha256.Sum256([]byte(fence.Holder.Who))
}

// fenceOf is the fence of a run of one plan.
func fenceOf(epoch uint64, holder string) fleet.Fence {
	fence := fleet.Fence{
		Generation: 4, Epoch: epoch, Plan: "sha256:" + strings.Repeat("a", 64), Cluster: "07",
		Holder: fleet.Holder{Who: holder + "@bastion", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		Phase:  fleet.PhaseClaimed, Artifact: "sha256:" + strings.Repeat("9", 64),
	}
	fence.Holder.ID, fence.Proof = secretOf(fence).For("", "").ID(), secretOf(fence).ID()
	return fence
}

// spoken is what a controller says on the line to make one request, whose body is no longer than the other end takes unasked.
func spoken(t *testing.T, method, path string, body []byte) []byte {
	t.Helper()
	there, back := net.Pipe()
	var said bytes.Buffer
	served := make(chan error, 1)
	go func() {
		served <- remote.Serve(t.Context(), back, back, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	}()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{
		Protocols:   protocols,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return recorded{there, &said}, nil },
	}
	response, err := transport.RoundTrip(must1(http.NewRequestWithContext(t.Context(), method, "http://host"+path, bytes.NewReader(body))))
	check(t, err)
	response.Body.Close()
	data := bytes.Clone(said.Bytes()) // before what ends the connection is said
	transport.CloseIdleConnections()
	there.Close()
	<-served
	return data
}

// asking is a request of JSON.
func asking(t *testing.T, path string, request any) []byte {
	t.Helper()
	body, err := json.Marshal(request)
	check(t, err)
	return spoken(t, http.MethodPost, path, body)
}

func must1(request *http.Request, err error) *http.Request {
	if err != nil {
		panic(err)
	}
	return request
}

type recorded struct {
	net.Conn
	said *bytes.Buffer
}

func (r recorded) Write(data []byte) (int, error) {
	r.said.Write(data)
	return r.Conn.Write(data)
}

// line is the other end of a session: it says something, and hangs up when it was answered.
type line struct {
	mu     sync.Mutex
	heard  bytes.Buffer
	hangUp func() error
}

func (l *line) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard.Write(data)
	const answered, nothingMore = "}\n", "\x00\x00\x00\x00\x01\x00\x00\x00\x01" // the end of JSON, and a frame that ends the stream
	if text := bytes.TrimSuffix(l.heard.Bytes(), []byte(nothingMore)); bytes.HasSuffix(text, []byte(answered)) && l.hangUp != nil {
		l.hangUp()
		l.hangUp = nil
	}
	return len(data), nil
}

// claiming is one request of a session with a host, as an operation that is disturbed.
type claiming struct {
	name    string
	path    string
	request any
	after   fleet.Fence
}

func claimings() []claiming {
	first, second := fenceOf(1, "ana"), fenceOf(2, "bob")
	stopped := first
	stopped.Phase = fleet.PhaseStopped
	return []claiming{
		{"claim", "/v1/claim", remote.ClaimRequest{Fence: second, Secret: secretOf(second), TakeOver: true}, second},
		{"give back", "/v1/phase", remote.PhaseRequest{Fence: first, Secret: secretOf(first), Phase: fleet.PhaseStopped}, stopped},
	}
}

// stored is the fence of the target.
func (p *place) stored(t *testing.T, what string) fleet.Fence {
	t.Helper()
	target, err := fsatomic.Lookup(vfs.OS(), p.target)
	check(t, err)
	fence, _, err := (&install.Installer{FS: vfs.OS()}).FenceOf(target)
	if err != nil || fence == nil {
		t.Fatalf("%s: the fence is %v: %v", what, fence, err)
	}
	fence.Previous, fence.Base = "", fleet.Base{}
	return *fence
}

// claim claims the target undisturbed, in this process.
func (p *place) claim(t *testing.T, what string, fence fleet.Fence) {
	t.Helper()
	_, session, err := (&install.Installer{FS: vfs.OS()}).Claim(t.Context(), p.target, fence, true, 0)
	if err != nil {
		t.Fatalf("%s: a claim: %v", what, err)
	}
	check(t, session.Close())
}

// traced makes the request of a tbctl host under the tracer.
func (c claiming) traced(t *testing.T, p *place, what disturbance, paused func(int, call)) traced {
	t.Helper()
	return p.hosted(t, asking(t, c.path, c.request), what, paused)
}

// hosted says something to a tbctl host under the tracer, and hangs up when it was answered.
func (p *place) hosted(t *testing.T, said []byte, what disturbance, paused func(int, call)) traced {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config.toml")
	check(t, os.WriteFile(config, fmt.Appendf(nil, "target = %q\ncopy-from = [\"127.0.0.1:*\"]\n", p.target), 0o600))
	in, say, err := os.Pipe()
	check(t, err)
	defer in.Close()
	defer say.Close()
	go say.Write(said)                          // more than a pipe holds, to one that may be gone
	if what != (disturbance{}) && !what.Pause { // whose answer may never come: it hangs up, and either outcome is right
		timer := time.AfterFunc(time.Second, func() { say.Close() })
		defer timer.Stop()
	}
	heard := &line{hangUp: say.Close}
	result := trace(t, what, func(command *exec.Cmd) {
		command.Env = append(p.env, command.Env[len(command.Env)-1], "TBCTL_CONFIG="+config)
		command.Stdin, command.Stdout = in, heard
	}, paused, p.args("host")...)
	result.stdout = heard.heard.String()
	return result
}

// TestClaimFaults disturbs every call of a claim and of giving back that changes something: the fence is the one before or
// the one after, whole, and the next claim succeeds.
func TestClaimFaults(t *testing.T) {
	t.Parallel()
	for _, c := range claimings() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, quickDir(t))
			before := fenceOf(1, "ana")
			prepare := func() {
				p.reset(t, binaryOld, nothing)
				p.claim(t, "before", before)
			}
			prepare()
			undisturbed := c.traced(t, p, disturbance{}, nil)
			if got := p.stored(t, "undisturbed"); undisturbed.Code != 0 || got != c.after {
				t.Fatalf("undisturbed: exit %d, %+v: %s", undisturbed.Code, got, undisturbed.stderr)
			}
			count := len(undisturbed.Calls)
			for _, what := range disturbances() {
				for number := 1; number <= count; number += sample(3, 1) {
					what.At = number
					prepare()
					got := c.traced(t, p, what, nil)
					if len(got.Calls) < number {
						continue // it was not reached
					}
					tried("calls disturbed: "+c.name, 1)
					text := fmt.Sprintf("%s: call %d, %s: %s", c.name, number, got.Calls[number-1], what)
					if now := p.stored(t, text); now != before && now != c.after {
						t.Fatalf("%s: %+v", text, now)
					}
					if killed := what.Signal == syscall.SIGKILL || what.SignalAfter == syscall.SIGKILL; killed != (got.Signal == syscall.SIGKILL) {
						t.Fatalf("%s: killed: %v", text, killed)
					}
					p.claim(t, text, fenceOf(3, "eve"))
					if now := p.stored(t, text); now != fenceOf(3, "eve") {
						t.Fatalf("%s: after the next claim: %+v", text, now)
					}
				}
			}
			remarked("calls disturbed: "+c.name, "%d calls an operation", count)
		})
	}
}

// TestClaimPowerCut cuts the power after every such call: on the disk the fence is the one before or the one after, and
// after the answer the one after.
func TestClaimPowerCut(t *testing.T) {
	t.Parallel()
	for _, system := range fileSystems() {
		t.Run(system.name, func(t *testing.T) {
			t.Parallel()
			if !full() && system.name != "ext4" || system.twice == notTwice {
				t.Skip("skipped: only in a full run, and where a snapshot can be mounted beside its disk")
			}
			d := newDisk(t, system)
			outside := t.TempDir()
			for _, c := range claimings() {
				p := newPlace(t, outside).on(d)
				p.reset(t, binaryOld, nothing)
				before := fenceOf(1, "ana")
				p.claim(t, "before", before)
				d.sync(t)
				snapshot := filepath.Join(outside, "snapshot")
				judge := func(text string, allowed ...fleet.Fence) {
					d.snapshot(t, snapshot)
					d.restart(t, snapshot, func() {
						now := p.stored(t, text)
						if now != allowed[0] && now != allowed[len(allowed)-1] {
							t.Fatalf("%s: %+v", text, now)
						}
						p.claim(t, text, fenceOf(3, "eve"))
					})
				}
				result := c.traced(t, p, disturbance{Pause: true}, func(number int, hit call) {
					judge(fmt.Sprintf("%s on %s: power cut after call %d, %s", c.name, d.system.name, number, hit), before, c.after)
					tried("power cuts during a claim: "+d.system.name, 1)
				})
				if result.Code != 0 {
					t.Fatal(errors.New(result.stderr))
				}
				judge(fmt.Sprintf("%s on %s: power cut after the answer", c.name, d.system.name), c.after)
			}
		})
	}
}
