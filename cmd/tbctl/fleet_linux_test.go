package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testhost"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/report"
)

var oneFleet sync.Mutex

// liveFleet is hosts with tbctl and an inventory of them.
type liveFleet struct {
	*testhost.Fleet
	t         *testing.T
	inventory string
	program   string
}

func newLiveFleet(t *testing.T, count int) *liveFleet {
	t.Helper()
	oneFleet.Lock() // six sshds and replicas are enough for one machine
	t.Cleanup(oneFleet.Unlock)
	var names []string
	for index := range count {
		names = append(names, fmt.Sprintf("tb%d", index))
	}
	f := &liveFleet{Fleet: testhost.Start(t, names...), t: t, inventory: filepath.Join(t.TempDir(), "fleet.toml")}
	var err error
	if f.program, err = exec.LookPath("tbctl"); err != nil {
		t.Fatal(err)
	}
	for _, h := range f.Hosts {
		if err := os.Symlink(f.program, h.Path("/usr/local/bin/tbctl")); err != nil {
			t.Fatal(err)
		}
	}
	f.list("")
	return f
}

// list writes the inventory: all hosts as one cluster, and what else it is to say.
func (f *liveFleet) list(more string) {
	f.t.Helper()
	words, err := json.Marshal(f.SSH) // TOML has the same texts and lists
	if err != nil {
		f.t.Fatal(err)
	}
	var names []string
	for _, h := range f.Hosts {
		names = append(names, fmt.Sprintf("%q", h.Name))
	}
	text := fmt.Sprintf("ssh = %s\n%s\n[[cluster]]\nname = \"ledger\"\nhosts = [%s]\n", words, more, strings.Join(names, ", "))
	if err := os.WriteFile(f.inventory, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// starting starts the replica of a host, and ends when it listens; one that ran is killed, as a service's manager does.
const starting = `#!/bin/sh
set -eu
cd /var/lib/tigerbeetle
if [ -e pid ]; then
	echo "$# $*" >>restarts
	kill -9 "$(cat pid)" || true # it has ended
fi
rm -f log # of the one before, which has said that it listens
STANDIN_UPGRADE=cluster STANDIN_SECOND=20ms STANDIN_CHURN=$PWD/churn STANDIN_COMMITS=$PWD/commits \
	setsid /usr/local/bin/tigerbeetle start --addresses=%s 7.tigerbeetle >log 2>&1 </dev/null &
echo $! >pid
until grep -q listening log; do sleep 0.01; done
`

// restart is the program of each host that starts its replica again.
const restart = "/etc/tbctl/restart"

// serve installs a binary on every host, and starts a replica of one cluster on each.
func (f *liveFleet) serve(binary []byte) {
	f.t.Helper()
	var addresses []string
	for _, h := range f.Hosts {
		addresses = append(addresses, h.Address+":3000")
	}
	for index, h := range f.Hosts {
		h.WriteFile(fleetTarget, binary, 0o755)
		h.WriteFile(restart, fmt.Appendf(nil, starting, strings.Join(addresses, ",")), 0o755)
		h.Run(fleetTarget, "format", "--cluster=7", fmt.Sprintf("--replica=%d", index), fmt.Sprintf("--replica-count=%d", len(f.Hosts)), "/var/lib/tigerbeetle/7.tigerbeetle")
		h.Run(restart)
	}
}

// status runs tbctl fleet status --json, and returns its hosts and exit code.
func (f *liveFleet) status(args ...string) ([]report.FleetHost, int) {
	f.t.Helper()
	command := exec.Command(f.program, append([]string{"fleet", "status", "--json", "--fleet", f.inventory}, args...)...)
	output, err := command.Output()
	var document report.Document[report.Fleet]
	if jsonErr := json.Unmarshal(output, &document); jsonErr != nil {
		f.t.Fatalf("fleet status: %v, %v: %s", err, jsonErr, output)
	}
	return document.Result.Hosts, command.ProcessState.ExitCode()
}

// Six hosts are six rows with their releases, views and fences; nothing is changed on them.
func TestFleetStatus(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 6)
	f.serve(standin.Binary(t, "0.17.8", "0.17.7"))
	hosts := f.shows("each replica answers, and is connected with all others", func(_ *report.FleetHost, replica *host.Replica) bool {
		return replica.Answer != nil && replica.Armed != nil && replica.Peers != nil && replica.Peers.Connected == len(f.Hosts)-1
	})
	if len(hosts) != len(f.Hosts) {
		t.Fatalf("hosts %+v", hosts)
	}
	for index, h := range hosts {
		shown := h.Report
		if shown == nil || shown.Name != h.Name || shown.Version != report.HostVersion || shown.Machine == "" || shown.Boot == "" || len(shown.Targets) != 1 {
			t.Fatalf("%s: %+v, %+v", h.Name, shown, h.Problem)
		}
		status := shown.Targets[0].Status
		if status == nil || len(status.Replicas) != 1 || status.Fence != nil || status.Installed.Release.String() != "0.17.8" {
			t.Fatalf("%s: %+v", h.Name, shown.Targets[0])
		}
		replica := status.Replicas[0]
		if replica.Superblock == nil || replica.Superblock.ReplicaIndex != index || replica.Running.Release.String() != "0.17.8" || replica.Armed == nil {
			t.Errorf("%s: %+v", h.Name, replica)
		}
		if replica.Answer == nil || replica.Answer.Replica != index || replica.Answer.Release.String() != "0.17.8" {
			t.Errorf("%s: it answers %+v: %s", h.Name, replica.Answer, replica.NoAnswer)
		}
		if peers := replica.Peers; peers.Others != len(f.Hosts)-1 || peers.Outgoing != index || peers.Incoming != len(f.Hosts)-1-index { // a stand-in connects with those before it
			t.Errorf("%s: %+v", h.Name, peers)
		}
		eventually(t, "the session on "+h.Name+" ends", func() string {
			return f.Hosts[index].Run("sh", "-c", "ps ax | grep 'tbctl hos[t]' || true")
		})
		if left := f.Hosts[index].Run("ls", "-A", "/usr/local/bin", "/var/lib/tbctl"); strings.Contains(left, "tbctl-") || strings.Contains(left, "history") {
			t.Errorf("%s: it left\n%s", h.Name, left)
		}
	}
	output, err := exec.Command(f.program, "fleet", "status", "--fleet", f.inventory).Output()
	if err != nil || strings.Count(string(output), "0.17.8") < 3*len(f.Hosts) || !strings.Contains(string(output), "cluster ledger") {
		t.Errorf("%v:\n%s", err, output)
	}

	// All hosts are this machine, whose processors each connection and each tbctl host take a share of.
	one := quickest(func() { f.connect(f.Hosts[0].Name) })
	all := quickest(func() {
		var connecting sync.WaitGroup
		for _, h := range f.Hosts {
			connecting.Go(func() { f.connect(h.Name) })
		}
		connecting.Wait()
	})
	status := quickest(func() { f.status() })
	t.Logf("the status of %d hosts takes %v, %.1f times one connection, which takes %v; so many connections at once take %v", len(f.Hosts), status, float64(status)/float64(one), one, all)
}

// connect makes a connection with a host, and nothing there.
func (f *liveFleet) connect(name string) {
	words := append(slices.Clone(f.SSH), name, "true")
	if output, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		f.t.Errorf("%v: %s", err, output)
	}
}

// quickest is how long something took, of several times that it was done.
func quickest(do func()) time.Duration {
	shortest := waitMax
	for range 3 {
		began := time.Now()
		do()
		shortest = min(shortest, time.Since(began))
	}
	return shortest.Round(time.Millisecond)
}

// Every way in which a host cannot be asked is a row with its reason and its next step.
func TestFleetStatusUnreachable(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 6)
	f.Host("tb1").Kill()
	known, err := os.ReadFile(f.KnownHosts())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(known), "\n")
	at := func(name string) int {
		return slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, name+" ") })
	}
	lines[at("tb2")] = "tb2 " + strings.SplitN(lines[at("tb3")], " ", 2)[1] // another key than it shows
	lines[at("tb4")] = ""
	if err := os.WriteFile(f.KnownHosts(), []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.Host("tb3").Path("/usr/local/bin/tbctl")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.Host("tb5").Path("/usr/local/bin/tbctl")); err != nil { // a link to this program
		t.Fatal(err)
	}
	f.Host("tb5").WriteFile("/usr/local/bin/tbctl", []byte("#!/bin/sh\necho Welcome to the bank\nexec "+f.program+" \"$@\"\n"), 0o755)

	hosts, code := f.status()
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
	reasons := map[string]remote.Reason{
		"tb0": "", "tb1": remote.ReasonUnreachable, "tb2": remote.ReasonKeyChanged, "tb3": remote.ReasonMissing, "tb4": remote.ReasonKeyUnknown, "tb5": remote.ReasonOutput,
	}
	for _, h := range hosts {
		got := remote.Reason("")
		if h.Problem != nil {
			got = remote.Reason(h.Problem.Reason)
			if h.Problem.Hint == "" || h.Problem.Message == "" {
				t.Errorf("%s: %+v", h.Name, h.Problem)
			}
		}
		if h.Name == "tb1" && got == remote.ReasonConnection {
			continue // while its network goes
		}
		if got != reasons[h.Name] {
			t.Errorf("%s: %q, want %q: %+v", h.Name, got, reasons[h.Name], h.Problem)
		}
	}
}

// A user who is let in by one line of sudoers can speak to tbctl host as root, and do nothing else so.
func TestFleetSudo(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sudo"); err != nil {
		t.Skipf("skipped: %v", err)
	}
	f := newLiveFleet(t, 1)
	host := f.Hosts[0]
	host.WriteFile(fleetTarget, standin.Binary(t, "0.17.8", "0.17.7"), 0o755)
	host.Run("useradd", "--no-create-home", "--password", "*", "ops") // which is no password, and not locked
	f.SSH = append(f.SSH, "-l", "ops")
	f.list(`become = ["sudo", "-n"]`)
	hosts, code := f.status()
	if code != 1 || hosts[0].Problem == nil || hosts[0].Problem.Reason != string(remote.ReasonSudo) || !strings.Contains(hosts[0].Problem.Hint, "NOPASSWD: /usr/local/bin/tbctl host") {
		t.Fatalf("without the line: exit code %d, %+v", code, hosts[0].Problem)
	}
	host.WriteFile("/etc/sudoers.d/tbctl", []byte("ops ALL=(root) NOPASSWD: /usr/local/bin/tbctl host\n"), 0o440)
	hosts, code = f.status()
	if code != 0 || hosts[0].Report == nil || hosts[0].Report.Targets[0].Status.Installed == nil {
		t.Fatalf("with the line: exit code %d, %+v", code, hosts[0])
	}
	for _, words := range []string{"tbctl install -", "tbctl host --state-dir /tmp/x", "tbctl rollback"} {
		command := append(slices.Clone(f.SSH), host.Name, "sudo -n "+words)
		if output, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err == nil {
			t.Errorf("%s is done:\n%s", words, output)
		}
	}
}
