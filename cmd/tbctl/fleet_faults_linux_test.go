package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/rollout"
)

const (
	faultHosts = 3
	faultSame  = 12 // times that the same command is run at most until it is done
)

// faultWorld is a cluster on this machine whose hosts are directories, with real sessions, and a plan for it.
type faultWorld struct {
	t              *testing.T
	dir, plan, id  string
	hosts          []string
	previous, next string // SHA-256
	mu             sync.Mutex
	promoting      bool // promote was asked for
	fences         map[string]fleet.Fence
	failures       []string
	swaps          map[string]int
	watching       sync.WaitGroup
	stop           chan struct{}
}

func newFaultWorld(t *testing.T, previous, next []byte) *faultWorld {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &faultWorld{t: t, dir: dir, plan: filepath.Join(dir, "plan.json"), fences: map[string]fleet.Fence{}, swaps: map[string]int{}, stop: make(chan struct{})}
	hash := func(data []byte) string { sum := sha256.Sum256(data); return hex.EncodeToString(sum[:]) }
	w.previous, w.next = hash(previous), hash(next)
	addresses := standin.Addresses(faultHosts)
	var names []string
	for index := range faultHosts {
		host := fmt.Sprintf("tb%d", index)
		w.hosts, names = append(w.hosts, host), append(names, fmt.Sprintf("%q", host))
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, host, "bin"), 0o755), os.Mkdir(filepath.Join(dir, host, "state"), 0o755),
			os.WriteFile(filepath.Join(dir, host, "config.toml"), fmt.Appendf(nil, "target = %q\n", w.target(host)), 0o644)); err != nil {
			t.Fatal(err)
		}
		target, data := w.target(host), filepath.Join(dir, host, "7.tigerbeetle")
		standin.Replace(t, target, previous)
		if output, err := exec.Command(target, "format", "--cluster=7", fmt.Sprintf("--replica=%d", index), fmt.Sprintf("--replica-count=%d", faultHosts), data).CombinedOutput(); err != nil {
			t.Fatalf("format: %v\n%s", err, output)
		}
		standin.Start(t, target, data, standin.Options{Upgrade: "cluster", Args: []string{"--addresses=" + addresses}, Poll: 50 * time.Millisecond})
	}
	file := filepath.Join(dir, "next")
	ssh, err := exec.LookPath("faultyssh")
	if err == nil {
		err = os.WriteFile(file, next, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "fleet.toml"), fmt.Appendf(nil, "ssh = [%q, %q]\n[[cluster]]\nname = \"ledger\"\nhosts = [%s]\n", ssh, dir, strings.Join(names, ", ")), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	output, code := w.run("plan", file, "-o", w.plan, "--json")
	var document report.Document[report.FleetPlan]
	if err := json.Unmarshal(output, &document); code != 0 || err != nil {
		t.Fatalf("plan: exit code %d, %v:\n%s", code, err, output)
	}
	w.id = document.Result.ID
	for _, host := range w.hosts {
		w.watching.Go(func() { w.watch(host) })
	}
	t.Cleanup(w.end)
	return w
}

func (w *faultWorld) target(host string) string {
	return filepath.Join(w.dir, host, "bin", "tigerbeetle")
}

func (w *faultWorld) stateFile(host string) string {
	return filepath.Join(w.dir, host, "bin", ".tigerbeetle.tbctl-state")
}

// run runs tbctl fleet. It is killed if it takes minutes: then it hangs.
func (w *faultWorld) run(args ...string) ([]byte, int) {
	w.t.Helper()
	args = append(append([]string{"fleet"}, args...), "--fleet", filepath.Join(w.dir, "fleet.toml"), "--state-dir", filepath.Join(w.dir, "controller"))
	command := exec.CommandContext(w.t.Context(), "tbctl", args...)
	command.Env = quick()
	var output, errs bytes.Buffer
	command.Stdout, command.Stderr = &output, &errs
	command.WaitDelay = time.Second
	_ = command.Run() // its exit code says it
	code := command.ProcessState.ExitCode()
	if code != 0 {
		w.t.Logf("fleet %s: exit code %d: %s", args[1], code, strings.TrimSpace(errs.String()))
	}
	return output.Bytes(), code
}

func (w *faultWorld) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, fmt.Sprintf(format, args...))
}

// watch holds what must be so on a host at every moment.
func (w *faultWorld) watch(host string) {
	var inode, stateInode uint64
	installed := w.previous
	for {
		select {
		case <-w.stop:
			return
		case <-time.After(10 * time.Millisecond):
		}
		var stat syscall.Stat_t
		if syscall.Stat(w.stateFile(host), &stat) == nil && stat.Ino != stateInode {
			stateInode = stat.Ino
			w.fence(host)
		}
		if err := syscall.Stat(w.target(host), &stat); err != nil {
			w.fail("invariant 5: %s: nothing is at the target: %v", host, err)
			continue
		}
		if stat.Ino == inode {
			continue
		}
		before, known := w.fence(host)
		inode = stat.Ino
		data, err := os.ReadFile(w.target(host))
		sum := sha256.Sum256(data)
		now := hex.EncodeToString(sum[:])
		if err != nil || now != w.previous && now != w.next {
			w.fail("invariant 5: %s: at the target is %s, %v", host, now, err)
		}
		if now == installed {
			continue
		}
		installed = now
		if known && before.Plan != w.id || !known {
			w.fail("invariant 2: %s is swapped, and its fence is %+v", host, before)
		}
		w.mu.Lock()
		w.swaps[host]++
		swapped, promoting := len(w.swaps), w.promoting
		w.mu.Unlock()
		if swapped == faultHosts && !promoting {
			w.fail("invariant 3: %s is the last one, and nobody promoted", host)
		}
	}
}

// fence is the stored one, which is never lower than before.
func (w *faultWorld) fence(host string) (fleet.Fence, bool) {
	text, err := os.ReadFile(w.stateFile(host))
	if errors.Is(err, fs.ErrNotExist) {
		return fleet.Fence{}, false
	}
	var state struct{ Fence *fleet.Fence }
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	if err != nil {
		w.fail("invariant 1: %s: its state: %v", host, err)
		return fleet.Fence{}, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.fences[host]
	if state.Fence == nil {
		if before.Generation > 0 {
			w.failures = append(w.failures, fmt.Sprintf("invariant 1: %s: its fence is gone, and was %+v", host, before))
		}
		return fleet.Fence{}, false
	}
	if now := *state.Fence; now.Generation < before.Generation || now.Generation == before.Generation && now.Epoch < before.Epoch {
		w.failures = append(w.failures, fmt.Sprintf("invariant 1: %s: its fence is %+v, and was %+v", host, now, before))
	}
	w.fences[host] = *state.Fence
	return *state.Fence, true
}

func (w *faultWorld) end() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	w.watching.Wait()
}

// inject has the fault happen in what is run from now on; nil: none does, and nothing is counted.
func (w *faultWorld) inject(happens *lineFault) {
	w.t.Helper()
	if happens == nil {
		os.Remove(filepath.Join(w.dir, "fault"))
		return
	}
	text, err := json.Marshal(happens)
	if err == nil {
		err = os.WriteFile(filepath.Join(w.dir, "fault"), text, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *faultWorld) happened() bool {
	_, err := os.Stat(filepath.Join(w.dir, "happened"))
	return err == nil
}

// requests says how many a host was sent.
func (w *faultWorld) requests(host string, change bool) int {
	name := "looks"
	if change {
		name = "changes"
	}
	info, err := os.Stat(filepath.Join(w.dir, host, name))
	if err != nil {
		return 0
	}
	return int(info.Size())
}

// seen is what fleet status shows of the hosts.
func (w *faultWorld) seen() []report.FleetHost {
	w.t.Helper()
	output, code := w.run("status", "--json")
	var document report.Document[report.Fleet]
	if err := json.Unmarshal(output, &document); code != 0 || err != nil {
		w.t.Fatalf("status: exit code %d, %v:\n%s", code, err, output)
	}
	return document.Result.Hosts
}

// state says how many targets have the new file, and how many replicas run it.
func (w *faultWorld) state() (swapped, running int) {
	w.t.Helper()
	for _, h := range w.seen() {
		status := h.Report.Targets[0].Status
		if status.Installed.SHA256 == w.next {
			swapped++
		}
		for _, replica := range status.Replicas {
			if replica.Running.Release == testbin.Release("0.17.8") {
				running++
			}
		}
	}
	return swapped, running
}

// command runs a command until it is done, and holds what its exit codes promise.
func (w *faultWorld) command(happens *lineFault, figures *faultFigures, done func() bool, args ...string) {
	w.t.Helper()
	for attempt := 1; ; attempt++ {
		fresh := !w.happened()
		w.inject(happens)
		_, code := w.run(args...)
		w.inject(nil)
		figures.add(func() { figures.commands++; figures.codes[code]++ })
		if fresh && w.happened() {
			w.named(happens, code)
		}
		if code == 0 {
			for limit := time.Now().Add(waitMax); !done(); { // a look may miss what the next one sees
				if time.Now().After(limit) {
					w.fail("invariant 7: %s ends with 0, and has not done it", args[0])
					break
				}
			}
			return
		}
		if attempt == faultSame {
			w.fail("invariant 8: %s does not get there: exit code %d", args[0], code)
			return
		}
	}
}

// named holds that the fault is named by what the controller kept and the hosts show, with its host and its cause.
func (w *faultWorld) named(happened *lineFault, code int) {
	w.t.Helper()
	text := requestsIn(w.t, filepath.Join(w.dir, "controller"))
	said := func(is func(rollout.Entry) bool) bool {
		for line := range strings.Lines(string(text)) {
			var entry rollout.Entry
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Host == happened.Host && is(entry) {
				return true
			}
		}
		return false
	}
	is := false
	switch happened.Kind {
	case faultController:
		// It can say nothing: who had the hosts is what they show, and that he is gone.
		is = code == -1
		eventually(w.t, "the sessions of the one that was killed end", func() string {
			for _, h := range w.seen() {
				status := h.Report.Targets[0].Status
				if status.Fence != nil && status.Fence.Phase.Holds() && status.HolderAlive {
					return fmt.Sprintf("%s: %+v", h.Name, status.Fence)
				}
			}
			return ""
		})
	case faultDelay:
		is = !happened.Change || said(func(e rollout.Entry) bool { return e.Took >= faultDelayTime })
	default:
		is = said(func(e rollout.Entry) bool {
			return e.Result != fault.None && len(e.Causes) > 0 && (e.Reason == "lost" || e.Reason == "silent")
		})
	}
	if !is {
		w.fail("%+v is not named: exit code %d, the journal says\n%s", *happened, code, text)
	}
}

// faultFigures are those of many schedules.
type faultFigures struct {
	mu                            sync.Mutex
	schedules, happened, commands int
	codes                         map[int]int
	kinds                         map[string]int
}

func (f *faultFigures) add(what func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what()
}

// rolledOut brings a cluster to the release, while the fault happens, and holds the rules of a rollout.
func (w *faultWorld) rolledOut(happens *lineFault, figures *faultFigures) {
	w.t.Helper()
	w.command(happens, figures, func() bool { swapped, running := w.state(); return swapped == faultHosts-1 && running == 0 }, "run", w.plan, "--until", "armed")
	w.mu.Lock()
	w.promoting = true
	w.mu.Unlock()
	w.command(happens, figures, func() bool { swapped, running := w.state(); return swapped == faultHosts && running == faultHosts }, "promote", w.plan, "ledger", "--yes", "--stable", "200ms")
	w.end()
	for host, count := range w.swaps {
		if count != 1 {
			w.fail("%s was swapped %d times", host, count)
		}
	}
	figures.add(func() {
		figures.schedules++
		if happens != nil && w.happened() {
			figures.happened++
			figures.kinds[happens.Kind]++
		}
	})
	for _, failure := range w.failures {
		w.t.Error(failure)
	}
}

// sampled are the faults that are tried in any case. The requests to a host with a body are: stage, check, claim, swap, and of
// the promotion claim, swap where it is the last one, and phase.
var sampled = []lineFault{
	{"tb0", true, 4, faultLost}, {"tb1", true, 4, faultCut}, {"tb2", true, 3, faultController}, {"tb2", true, 5, faultHost}, {"tb0", true, 2, faultTwice},
}

// TestFleetFaults has something happen to the line with one host at one request of a rollout, and then runs the same command again. With
// TORTURE=full that is one of nine of the faults at requests that change something, and with TORTURE=fleet every kind of fault at every
// request to every host; its figures are in what -v shows:
//
//	TORTURE=fleet go test -timeout 90m -v -run 'TestFleetFaults$' ./cmd/tbctl
func TestFleetFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it takes some seconds (-short)")
	}
	t.Parallel()
	needAllSeen(t)
	previous, next := standin.Binary(t, "0.17.7", "0.17.6"), standin.Binary(t, "0.17.8", "0.17.6", "0.17.7")
	figures := &faultFigures{codes: map[int]int{}, kinds: map[string]int{}}
	t.Cleanup(func() {
		t.Logf("%d rollouts, in %d of them the fault happened: %v; %d commands, exit codes %v", figures.schedules, figures.happened, figures.kinds, figures.commands, figures.codes)
	})
	chosen := sampled
	every := os.Getenv("TORTURE") == "fleet"
	if every || testbin.Full() {
		chosen = nil
		calm := newFaultWorld(t, previous, next)
		calm.rolledOut(&lineFault{}, figures)
		for _, host := range calm.hosts {
			for _, change := range []bool{true, false} {
				for n := range calm.requests(host, change) {
					for _, kind := range faultKinds {
						chosen = append(chosen, lineFault{host, change, n + 1, kind})
					}
				}
			}
		}
		if !every {
			one := 0
			chosen = slices.DeleteFunc(chosen, func(each lineFault) bool {
				one++
				return !each.Change || one%9 != 0
			})
		}
		t.Logf("%d faults", len(chosen))
	}
	seats := make(chan struct{}, 4)
	for _, each := range chosen {
		t.Run(each.String(), func(t *testing.T) {
			t.Parallel()
			seats <- struct{}{}
			defer func() { <-seats }()
			w := newFaultWorld(t, previous, next)
			w.rolledOut(&each, figures)
			if !w.happened() && !every && !testbin.Full() { // how many looks there are is a matter of time
				t.Error("the fault did not happen")
			}
		})
	}
}
