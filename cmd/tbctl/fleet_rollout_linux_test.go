package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/report"
)

// carry runs a command of tbctl fleet with --json that carries a plan out, and returns its result and exit code.
func (f *liveFleet) carry(args ...string) (report.Rollout, int) {
	f.t.Helper()
	output, errs, code := f.tbctl(append([]string{"fleet", args[0], "--json"}, args[1:]...)...)
	if _, err := mustSchemas(f.t).checkOutput([]byte(output)); err != nil {
		f.t.Errorf("fleet %s: %v", args[0], err)
	}
	lines := strings.Split(strings.TrimSpace(output), "\n")
	var document report.Document[report.Rollout]
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &document); err != nil {
		f.t.Fatalf("fleet %v: %v: %s%s", args, err, output, errs)
	}
	if document.Error != nil {
		f.t.Logf("fleet %v: %s", args, document.Error.Message)
	}
	return document.Result, code
}

// planned serves one release, and plans the next.
func (f *liveFleet) planned() string {
	f.t.Helper()
	f.serve(standin.Binary(f.t, "0.17.7", "0.17.6"))
	file := filepath.Join(f.t.TempDir(), "plan.json")
	if result, code := f.plan(f.next("0.17.8", "0.17.6", "0.17.7"), "-o", file); code != 0 {
		f.t.Fatalf("exit code %d: %+v", code, result.Problems)
	}
	return file
}

// What a host lacks is brought into its store, with a host down the others go on, and no target is touched; the same command again
// sends only what is lacking, and has the rest checked again.
func TestFleetStage(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 3)
	file := f.planned()
	before := make(map[string]string)
	for _, h := range f.Hosts {
		before[h.Name] = identity(t, h)
	}
	missing := f.Host("tb1")
	if err := os.Rename(missing.Path("/usr/local/bin/tbctl"), missing.Path("/usr/local/bin/tbctl-away")); err != nil {
		t.Fatal(err)
	}
	result, code := f.carry("stage", file, "--timeout", "5s")
	for timeout := 10 * time.Second; code == 1 && (result.Clusters[0].Staged < 2 || result.Clusters[0].Checked < 2) && timeout < waitMax; timeout *= 2 { // on a busy machine
		result, code = f.carry("stage", file, "--timeout", timeout.String())
	}
	if code != 1 || len(result.Clusters) != 1 || result.Clusters[0].Staged != 2 || result.Clusters[0].WayOn == "" {
		t.Fatalf("with a host down: exit code %d, %+v", code, result)
	}
	for _, row := range result.Clusters[0].Rows {
		if down := row.Name == missing.Name; row.Staged == down || row.Seen == down || (row.Problem != "") != down || down && row.Sent+row.Had > 0 {
			t.Errorf("%+v", row)
		}
	}
	if err := os.Rename(missing.Path("/usr/local/bin/tbctl-away"), missing.Path("/usr/local/bin/tbctl")); err != nil {
		t.Fatal(err)
	}
	result, code = f.carry("stage", file)
	if code != 0 || result.Clusters[0].Staged != 3 || string(result.Clusters[0].Step) != "staged" {
		t.Fatalf("exit code %d, %+v", code, result)
	}
	for _, row := range result.Clusters[0].Rows {
		if row.Name != missing.Name && row.Sent != 0 {
			t.Errorf("what is there is sent again: %+v", row)
		}
	}
	for _, h := range f.Hosts {
		if after := identity(t, h); after != before[h.Name] {
			t.Errorf("%s: the target was touched: %s, was %s", h.Name, after, before[h.Name])
		}
	}
	for _, h := range f.shows("one replica runs on each host", nil) {
		if fence := h.Report.Targets[0].Status.Fence; fence != nil {
			t.Errorf("%s is claimed: %+v", h.Name, fence)
		}
	}
	output, errs, code := f.tbctl("fleet", "stage", file, "ledger")
	for _, want := range []string{"ledger: step: staged", "tb2: staged:", "HOST", "way on:", "tbctl fleet arm " + file} {
		if code != 0 || !strings.Contains(output, want) {
			t.Errorf("exit code %d, no %q in\n%s%s", code, want, output, errs)
		}
	}
	if output, _, code := f.tbctl("fleet", "stage", file, "other"); code != 2 || strings.Contains(output, "✓") {
		t.Errorf("a cluster that is not planned: exit code %d\n%s", code, output)
	}
	journal := requestsIn(t, filepath.Join(filepath.Dir(f.inventory), "state"))
	staged := regexp.MustCompile(`"request":"stage".*"result":""`).FindAll(journal, -1)
	if len(staged) != 3 || strings.Count(string(journal), `"request":"check"`) < 8 || !strings.Contains(string(journal), `"reason":"tbctl-missing"`) {
		t.Errorf("the journal says\n%s", journal)
	}
}

// requestsIn is what a state directory has of the requests of all plans.
func requestsIn(t *testing.T, dir string) (all []byte) {
	t.Helper()
	plans, err := filepath.Glob(filepath.Join(dir, "rollouts", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range plans {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	return all
}

// restartable tells every host how its replica is started again.
func (f *liveFleet) restartable() {
	f.t.Helper()
	for _, h := range f.Hosts {
		h.WriteFile("/etc/tbctl/config.toml", fmt.Appendf(nil, "restart = [%q]\n", restart), 0o644)
	}
}

// runs is what the replicas of all hosts run and the files at their targets are.
func (f *liveFleet) runs() (releases, installed []string) {
	f.t.Helper()
	for _, h := range f.shows("one replica runs on each host", nil) {
		status := h.Report.Targets[0].Status
		installed = append(installed, status.Installed.Release.String())
		releases = append(releases, status.Replicas[0].Running.Release.String())
	}
	return releases, installed
}

func count(texts []string, text string) int {
	found := 0
	for _, each := range texts {
		if each == text {
			found++
		}
	}
	return found
}

// One verb after the other brings a cluster to the release. Armed it runs what it ran; each verb again changes nothing.
func TestFleetRollout(t *testing.T) {
	t.Parallel()
	hosts := 3
	if os.Getenv("TORTURE") == "full" {
		hosts = 6
	}
	f := newLiveFleet(t, hosts)
	file := f.planned()
	if _, code := f.carry("arm", file); code != 4 {
		t.Errorf("arm of what is not staged: exit code %d", code)
	}
	result, code := f.carry("stage", file)
	if code != 0 || result.Clusters[0].Checked != hosts {
		t.Fatalf("stage: exit code %d: %+v", code, result)
	}
	for range 2 {
		result, code = f.carry("arm", file, "ledger")
		if cluster := result.Clusters[0]; code != 0 || string(cluster.Step) != "armed" || cluster.Armed != hosts-1 || cluster.WayBack == "" || cluster.WayOn == "" {
			t.Fatalf("arm: exit code %d: %+v", code, cluster)
		}
		if releases, installed := f.runs(); count(releases, "0.17.7") != hosts || count(installed, "0.17.8") != hosts-1 || installed[hosts-1] != "0.17.7" {
			t.Fatalf("armed: they run %q, installed is %q", releases, installed)
		}
	}
	if _, errs, code := f.tbctl("fleet", "promote", file, "ledger"); code != 2 || !strings.Contains(errs, "--yes") {
		t.Errorf("promote without a word: exit code %d", code)
	}
	for range 2 {
		result, code = f.carry("promote", file, "ledger", "--stable", "1s", "--yes")
		if cluster := result.Clusters[0]; code != 0 || string(cluster.Step) != "done" || cluster.Upgraded != hosts || cluster.Holder != "" {
			t.Fatalf("promote: exit code %d: %+v", code, cluster)
		}
	}
	if releases, installed := f.runs(); count(releases, "0.17.8") != hosts || count(installed, "0.17.8") != hosts {
		t.Errorf("promoted: they run %q, installed is %q", releases, installed)
	}
	if result, code := f.carry("abort", file); code != 4 || !strings.Contains(reasons(result.Clusters[0].Problems), "promotion-begun") {
		t.Errorf("abort after it: exit code %d: %+v", code, result.Clusters[0])
	}
}

// started starts a command that carries a plan out, and returns when it has said the words; it is killed at the test's end.
func (f *liveFleet) started(words string, args ...string) *exec.Cmd {
	f.t.Helper()
	args = append(args, "--fleet", f.inventory, "--state-dir", filepath.Join(filepath.Dir(f.inventory), "state"))
	command := exec.Command(f.program, append([]string{"fleet"}, args...)...)
	command.Env = quick()
	output, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		command.Process.Kill()
		command.Wait() // a signal ended it, or it was waited for
	})
	var said strings.Builder
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), words) {
			go io.Copy(io.Discard, output)
			return command
		}
	}
	f.t.Fatalf("fleet %v ended without %q:\n%s", args, words, said.String())
	return nil
}

// A controller that is killed while it arms is followed by the same command, which comes to the end; fleet stop ends one that is
// alive, which changes nothing more.
func TestFleetRunKilled(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 3)
	file := f.planned()
	first := f.started("armed:", "run", file, "--yes", "--stable", "1h")
	first.Process.Kill()
	first.Wait()                                                                              // a signal ended it
	second := f.started("step: armed", "run", file, "--yes", "--stable", "1h", "--take-over") // its sessions may not have ended yet
	result, code := f.carry("stop", file)
	if code != 0 || result.Clusters[0].Armed != 2 || result.Clusters[0].Holder != "" {
		t.Errorf("stop: exit code %d: %+v", code, result.Clusters[0])
	}
	second.Wait() // its exit code says it
	if code := second.ProcessState.ExitCode(); code != 7 {
		t.Errorf("the run that was stopped: exit code %d", code)
	}
	if releases, installed := f.runs(); count(releases, "0.17.7") != 3 || count(installed, "0.17.8") != 2 {
		t.Errorf("stopped: they run %q, installed is %q", releases, installed)
	}
	result, code = f.carry("run", file, "--yes", "--stable", "1s")
	if code != 0 || string(result.Clusters[0].Step) != "done" {
		t.Fatalf("exit code %d: %+v", code, result)
	}
	if releases, installed := f.runs(); count(releases, "0.17.8") != 3 || count(installed, "0.17.8") != 3 {
		t.Errorf("they run %q, installed is %q", releases, installed)
	}
}

// A controller that is stopped after it has claimed the hosts, and woken after another took over, changes nothing more and ends with 7.
func TestFleetRunStopped(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 3)
	file := f.planned()
	if result, code := f.carry("stage", file); code != 0 {
		t.Fatalf("stage: exit code %d: %+v", code, result)
	}
	first := f.started("its hosts are claimed", "arm", file)
	if err := first.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if result, code := f.carry("arm", file); code != 7 {
		t.Errorf("its sessions are open, and another run ends with %d: %+v", code, result)
	}
	if result, code := f.carry("arm", file, "--take-over"); code != 0 || result.Clusters[0].Armed != 2 {
		t.Fatalf("--take-over: exit code %d: %+v", code, result)
	}
	before := make(map[string]string)
	for _, h := range f.Hosts {
		before[h.Name] = identity(t, h)
	}
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	first.Wait() // its exit code says it
	if code := first.ProcessState.ExitCode(); code != 7 {
		t.Errorf("the one that was woken: exit code %d", code)
	}
	for _, h := range f.Hosts {
		if after := identity(t, h); after != before[h.Name] {
			t.Errorf("%s: the target was touched: %s, was %s", h.Name, after, before[h.Name])
		}
	}
}

// What was armed is taken back: the previous file, replicas that were started again with it, and no claim is left. A cluster of
// one has no arm step.
func TestFleetAbort(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 3)
	file := f.planned()
	f.restartable()
	if result, code := f.carry("run", file, "--until", "armed"); code != 0 || result.Clusters[0].Armed != 2 {
		t.Fatalf("exit code %d: %+v", code, result)
	}
	for range 2 {
		result, code := f.carry("abort", file)
		if code != 0 || string(result.Clusters[0].Step) != "aborted" || result.Clusters[0].Armed != 0 {
			t.Fatalf("exit code %d: %+v", code, result.Clusters[0])
		}
	}
	releases, installed := f.runs()
	if count(releases, "0.17.7") != 3 || count(installed, "0.17.7") != 3 {
		t.Errorf("they run %q, installed is %q", releases, installed)
	}
	for _, h := range f.Hosts {
		restarts, err := os.ReadFile(h.Path("/var/lib/tigerbeetle/restarts"))
		if want := h.Name != "tb2"; (err == nil) != want || strings.Count(string(restarts), "\n") > 1 {
			t.Errorf("%s: it was restarted: %q, %v", h.Name, restarts, err)
		}
	}
}

// At a terminal promote asks, and any other answer than the release is a no; the table is drawn again in its place.
func TestFleetPromoteAsks(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 1)
	file := f.planned()
	if result, code := f.carry("run", file, "--until", "staged"); code != 0 {
		t.Fatalf("exit code %d: %+v", code, result)
	}
	for _, test := range []struct {
		answer string
		code   int
		want   string
	}{{"yes", 2, "0.17.7"}, {"0.17.8", 0, "0.17.8"}} {
		control, terminal := newTerminal(t)
		command := exec.Command(f.program, "fleet", "promote", file, "ledger", "--stable", "100ms", "--fleet", f.inventory, "--state-dir", filepath.Join(filepath.Dir(f.inventory), "state"))
		command.Env = append(quick(), "TERM=xterm")
		command.Stdin, command.Stdout, command.Stderr = terminal, terminal, terminal
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		terminal.Close()
		var said strings.Builder
		buffer := make([]byte, 4096)
		for answered := false; ; {
			count, err := control.Read(buffer)
			said.Write(buffer[:count])
			if err != nil { // its other end is closed
				break
			}
			if !answered && strings.Contains(said.String(), "Type the release to go on: ") {
				answered = true
				io.WriteString(control, test.answer+"\n")
			}
		}
		command.Wait() // its exit code says it
		if code := command.ProcessState.ExitCode(); code != test.code || !strings.Contains(said.String(), "There is no way back") {
			t.Errorf("%s: exit code %d: %q", test.answer, code, said.String())
		}
		if drawn := strings.Contains(said.String(), "A\r\x1b[J"); drawn != (test.code == 0) {
			t.Errorf("%s: drawn again: %v: %q", test.answer, drawn, said.String())
		}
		if _, installed := f.runs(); installed[0] != test.want {
			t.Errorf("%s: installed is %q", test.answer, installed)
		}
	}
}

func TestFleetClusterOfOne(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 1)
	file := f.planned()
	if result, code := f.carry("run", file, "--until", "armed"); code != 0 || result.Clusters[0].Armed != 0 {
		t.Fatalf("exit code %d: %+v", code, result)
	}
	if _, installed := f.runs(); installed[0] != "0.17.7" {
		t.Fatalf("armed: %q", installed)
	}
	if result, code := f.carry("run", file, "--yes", "--stable", "100ms"); code != 0 || result.Clusters[0].Upgraded != 1 {
		t.Fatalf("exit code %d: %+v", code, result)
	}
}
