package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/rollout"
)

// Many sessions on one host, each of which asks for many reports at once, are all answered, and none of them takes more than
// one that asks once.
func TestHostManySessions(t *testing.T) {
	t.Parallel()
	const (
		asksMax     = 16
		memoryMax   = 64 << 10 // KiB
		threadsMax  = 40
		sessionsAll = 200
	)
	count := 8
	if testbin.Full() {
		count = sessionsAll
	}
	dir := t.TempDir()
	target, config := filepath.Join(dir, "tigerbeetle"), filepath.Join(dir, "config.toml")
	standin.Replace(t, target, standin.Binary(t, "0.17.8", "0.17.7"))
	if err := os.WriteFile(config, fmt.Appendf(nil, "target = %q\n", target), 0o600); err != nil {
		t.Fatal(err)
	}
	dialer := &remote.Dialer{Sessions: count, SSH: []string{"env", "TBCTL_CONFIG=" + config, "HOME=" + dir, "sh", "-c", "exec tbctl host", "sh"}}
	var sessions, asked sync.WaitGroup
	var mu sync.Mutex
	var open []*remote.Session
	for range count {
		sessions.Go(func() {
			session, err := dialer.Dial(t.Context(), "here")
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			open = append(open, session)
			mu.Unlock()
		})
	}
	sessions.Wait()
	for _, session := range open {
		defer session.Close()
		for range asksMax {
			asked.Go(func() {
				shown, err := session.Report(t.Context())
				if err != nil || len(shown.Targets) != 1 || shown.Targets[0].Status == nil || shown.Targets[0].Status.Installed == nil {
					t.Errorf("%+v, %v", shown, err)
				}
			})
		}
	}
	asked.Wait()
	found := 0
	entries, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, environ := range entries {
		if env, err := os.ReadFile(environ); err != nil || !bytes.Contains(env, []byte("TBCTL_CONFIG="+config)) {
			continue // one that has ended meanwhile, or another
		}
		found++
		status, err := os.ReadFile(filepath.Join(filepath.Dir(environ), "status"))
		if err != nil {
			t.Fatal(err)
		}
		var memory, threads int
		for line := range strings.Lines(string(status)) {
			fmt.Sscanf(line, "VmHWM: %d kB", &memory)
			fmt.Sscanf(line, "Threads: %d", &threads)
		}
		if memory == 0 || memory > memoryMax || threads > threadsMax {
			t.Errorf("a session takes %d KiB and %d threads", memory, threads)
		}
		if found == 1 {
			t.Logf("a session takes %d KiB and %d threads", memory, threads)
		}
	}
	if found != count {
		t.Errorf("%d sessions are seen, of %d", found, count)
	}
}

// fakeSSH is what plays ssh for as many hosts as there are names: it notes how many of the controller's children run, and is the host itself.
func fakeSSH(t *testing.T) (words []string, dir string) {
	t.Helper()
	dir = t.TempDir()
	config := filepath.Join(dir, "config.toml")
	standin.Replace(t, filepath.Join(dir, "tigerbeetle"), standin.Binary(t, "0.17.8", "0.17.7"))
	if err := os.WriteFile(config, fmt.Appendf(nil, "target = %q\n", filepath.Join(dir, "tigerbeetle")), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"env", "TBCTL_CONFIG=" + config, "HOME=" + dir, "sh", "-c", `cat /proc/$PPID/task/*/children | wc -w >>"$HOME/counts"; exec tbctl host`, "sh"}, dir
}

// A fleet of more hosts than may have sessions at once is asked as a whole, and what that takes does not grow with their number.
func TestFleetManyHosts(t *testing.T) {
	t.Parallel()
	const (
		memoryMax  = 128 << 10 // KiB
		clusterOf  = 10
		hostsAll   = 160
		hostsQuick = remote.SessionsMax + 16
	)
	count := hostsQuick
	if testbin.Full() {
		count = hostsAll
	}
	words, dir := fakeSSH(t)
	text, err := json.Marshal(words) // TOML has the same texts and lists
	if err != nil {
		t.Fatal(err)
	}
	inventory, list := filepath.Join(dir, "fleet.toml"), fmt.Appendf(nil, "ssh = %s\n", text)
	for first := 0; first < count; first += clusterOf {
		list = fmt.Appendf(list, "[[cluster]]\nname = 'ledger-%d'\nhosts = ['tb[%d-%d]']\n", first, first, first+clusterOf-1)
	}
	if err := os.WriteFile(inventory, list, 0o600); err != nil {
		t.Fatal(err)
	}
	most := func() (most int) {
		data, err := os.ReadFile(filepath.Join(dir, "counts"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var now int
			fmt.Sscan(line, &now)
			most = max(most, now)
		}
		return most
	}
	command := exec.Command("tbctl", "fleet", "status", "--json", "--fleet", inventory, "--state-dir", dir)
	var output bytes.Buffer
	command.Stdout = &output
	err = command.Start()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	memory := highWater(command.Process.Pid, ended, &err)
	var document report.Document[report.Fleet]
	if jsonErr := json.Unmarshal(output.Bytes(), &document); jsonErr != nil || err != nil || len(document.Result.Hosts) != count {
		t.Fatalf("%v, %v: %d hosts: %.2000s", err, jsonErr, len(document.Result.Hosts), output.Bytes())
	}
	t.Logf("%d hosts: at most %d sessions at once and %d KiB", count, most(), memory)
	if most() > remote.SessionsMax || memory > memoryMax {
		t.Errorf("%d sessions at once, and %d KiB", most(), memory)
	}

	// Followed, each host is asked although not all have sessions at once.
	follow := exec.Command("tbctl", "fleet", "status", "--follow", "--interval", "10ms", "--json", "--fleet", inventory, "--state-dir", dir)
	pipe, err := follow.StdoutPipe()
	if err == nil {
		err = follow.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for decoder := json.NewDecoder(pipe); len(seen) < count; {
		var line report.FleetLine
		if err := decoder.Decode(&line); err != nil {
			t.Fatalf("after %d hosts: %v", len(seen), err)
		}
		if host := line.Change.Host; host.Report == nil {
			t.Fatalf("%+v", host.Problem)
		}
		seen[line.Change.Host.Name] = true
	}
	_ = follow.Process.Signal(syscall.SIGINT)
	_, _ = io.Copy(io.Discard, pipe)
	_ = follow.Wait() // a signal ended it
	if most() > remote.SessionsMax {
		t.Errorf("%d sessions at once", most())
	}
}

// A run of a rollout keeps the sessions of the hosts that it has claimed, so that it is seen to be alive there, and of the others as many as
// there is room for.
func TestRolloutSessions(t *testing.T) {
	t.Parallel()
	words, dir := fakeSSH(t)
	sessions := &rollout.Sessions{Dialer: &remote.Dialer{SSH: words, Sessions: 2}}
	defer sessions.Close()
	ctx := t.Context()
	claim := claimOf(fenceOf(4, 1, "a", "ana"))
	if _, err := sessions.Host("tb0").Claim(ctx, claim); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, name := range []string{"tb1", "tb2", "tb3", "tb4"} {
			shown, err := sessions.Host(name).Observe(ctx) // all of them are the same host
			if err != nil || len(shown) != 1 || !shown[0].Alive {
				t.Fatalf("%s: %+v, %v", name, shown, err)
			}
		}
	}
	if err := sessions.Host("tb0").Phase(ctx, remote.PhaseRequest{Fence: claim.Fence, Secret: secretOf(claim.Fence), Phase: fleet.PhaseStopped}); err != nil {
		t.Fatal(err)
	}
	if shown, err := sessions.Host("tb1").Observe(ctx); err != nil || shown[0].Alive {
		t.Errorf("given back: %+v, %v", shown, err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "counts"))
	if err != nil {
		t.Fatal(err)
	}
	if counts := strings.Fields(string(data)); len(counts) < 8 { // tb0, and each of the others more than once as there is room for two
		t.Errorf("sessions were started %d times: no host's was closed for another", len(counts))
	}
}

// An installation that began before a claim ends before the claim is granted: what was at the target before the rollout is the file
// that was installed.
func TestClaimDuringInstall(t *testing.T) {
	t.Parallel()
	words, dir := fakeSSH(t)
	session, err := (&remote.Dialer{SSH: words}).Dial(t.Context(), "tb0")
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	next := standin.Binary(t, "0.17.9", "0.17.7", "0.17.8")
	installing := exec.Command("tbctl", "install", "-", filepath.Join(dir, "tigerbeetle"), "--stopped", "--state-dir", filepath.Join(dir, "state"))
	in, err := installing.StdinPipe()
	if err == nil {
		err = installing.Start()
	}
	if err == nil {
		_, err = in.Write(next[:len(next)/2])
	}
	if err != nil {
		t.Fatal(err)
	}
	for { // until it has the lock
		shown, err := session.Report(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if status := shown.Targets[0].Status; status != nil && status.HeldBy != nil {
			break
		}
	}
	claim := claimOf(fenceOf(4, 1, "a", "ana"))
	granted := make(chan error)
	go func() {
		fence, err := session.Claim(t.Context(), claim)
		if err == nil && fence.Previous != "sha256:"+digestOf(next) {
			err = fmt.Errorf("the file before the rollout is %s", fence.Previous)
		}
		granted <- err
	}()
	select {
	case err := <-granted:
		t.Fatalf("a claim was answered while the installation was under way: %v", err)
	default:
	}
	if _, err := in.Write(next[len(next)/2:]); err != nil {
		t.Error(err)
	}
	in.Close()
	if err := installing.Wait(); err != nil {
		t.Error(err)
	}
	if err := <-granted; err != nil {
		t.Error(err)
	}
}

// highWater is the most memory in KiB that a process was seen to have had until it ended, and what it ended with. Its resource usage does
// not serve: it begins with what the process had that started it.
func highWater(pid int, ended <-chan error, err *error) (memory int) {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case *err = <-ended:
			return memory
		case <-look.C:
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			for line := range strings.Lines(string(status)) {
				fmt.Sscanf(line, "VmHWM: %d kB", &memory)
			}
		}
	}
}
