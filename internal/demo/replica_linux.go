package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/tbctl/tbctl/internal/standin/program"
	"github.com/tbctl/tbctl/multiversion"
)

const replicas = true // there are stand-ins here

// Replica runs this process as a stand-in for a replica if it is one, and returns its exit code.
func Replica(args []string) (code int, standin bool) {
	if !program.Stamped() {
		return 0, false
	}
	return program.Main(args), true
}

func stamp(executable []byte, release multiversion.Release) ([]byte, error) {
	return program.Stamp(executable, release)
}

// lash ties a command to this process: when this one is killed, so is that one. The kernel means the thread that starts it,
// which is kept until release is called.
func lash(command *exec.Cmd) (release func()) {
	runtime.LockOSThread()
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return runtime.UnlockOSThread
}

// cluster formats a replica on each host and starts them, and returns when all listen. On each host the
// binary is at HOST/tigerbeetle.
func (p *place) cluster(ctx context.Context, number int, hosts ...string) error {
	const portFirst = 3001 // below the ports that the system gives away
	addresses := program.Addresses(portFirst+p.ports, len(hosts))
	p.ports += len(hosts)
	for index, host := range hosts {
		data := host + "/0_" + fmt.Sprint(index) + ".tigerbeetle"
		format := p.command(ctx, host+"/tigerbeetle", "format", fmt.Sprintf("--cluster=%d", number), fmt.Sprintf("--replica=%d", index),
			fmt.Sprintf("--replica-count=%d", len(hosts)), data)
		if output, err := format.CombinedOutput(); err != nil {
			return fmt.Errorf("format: %w: %s", err, output)
		}
		p.running.Go(func() { p.supervise(host, "start", "--addresses="+addresses, data) })
	}
	starting, stop := context.WithTimeoutCause(ctx, startMax, errors.New("the stand-ins for replicas do not start"))
	defer stop()
	return until(starting, func() bool {
		for _, host := range hosts {
			if log, _ := os.ReadFile(p.path(host, "log")); !bytes.Contains(log, []byte("listening")) {
				return false
			}
		}
		return true
	})
}

// supervise starts a host's replica again whenever it ends, as a service's manager does, and notes its process.
func (p *place) supervise(host string, words ...string) {
	for p.ctx.Err() == nil {
		if err := p.replica(host, words...); err != nil {
			_ = os.WriteFile(p.path(host, "log"), []byte(err.Error()), 0o644)
			time.Sleep(pause)
		}
	}
}

// replica runs a host's replica once. It has a group of its own, so that a Ctrl-C is not for it.
func (p *place) replica(host string, words ...string) error {
	log, err := os.Create(p.path(host, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.CommandContext(p.ctx, p.path(host, "tigerbeetle"), words...)
	defer lash(command)()
	command.SysProcAttr.Setpgid = true
	command.Dir, command.Stderr = p.dir, log
	command.Env = append(p.env(), "STANDIN_UPGRADE=cluster", "STANDIN_SECOND=200ms")
	if err := command.Start(); err != nil {
		return err
	}
	noted := p.path(host, "pid")
	if err := os.WriteFile(noted+"-new", fmt.Appendln(nil, command.Process.Pid), 0o644); err == nil {
		_ = os.Rename(noted+"-new", noted)
	}
	_ = command.Wait()
	return nil
}

// fleetSSH is in ssh's place, and fleetRestart in that of systemctl restart.
const (
	fleetSSH = `#!/bin/sh
# In ssh's place: runs the command for a host on this machine, with the host's own files.
while :; do case $1 in -o) shift 2;; -*) shift;; *) break;; esac; done
cd "${0%/*}/$1" || exit 255
[ ! -e down ] || { echo "ssh: connect to host $1 port 22: No route to host" >&2; exit 255; }
shift
TBCTL_CONFIG=$PWD/config.toml TBCTL_STATE_DIR=$PWD/state exec sh -c "$*"
`
	fleetRestart = `#!/bin/sh
# In the place of systemctl restart: the demonstration starts the replica again.
cd "${0%/*}/$1" && old=$(cat pid) && kill "$old" || exit
while [ "$(cat pid)" = "$old" ]; do sleep 0.05; done
`
)

// fleetClusters are the clusters of the demonstration, and their hosts as the inventory names them.
var fleetClusters = []struct {
	name, pattern string
	hosts         []string
}{
	{"test", "tb0.test", []string{"tb0.test"}},
	{"ledger", "tb[0-2].eu", []string{"tb0.eu", "tb1.eu", "tb2.eu"}},
	{"cards", "tb3.eu", []string{"tb3.eu"}},
}

// manyHosts makes three clusters and the inventory of them.
func (p *place) manyHosts(ctx context.Context) ([]step, error) {
	this, err := build(ctx, releaseOld, releaseThis)
	if err != nil {
		return nil, err
	}
	next, err := build(ctx, releaseThis, releaseNext)
	if err != nil {
		return nil, err
	}
	if _, err := p.publish(ctx, next, releaseNext); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"ssh": fleetSSH, "restart": fleetRestart} {
		if err := os.WriteFile(p.path(name), []byte(text), 0o755); err != nil {
			return nil, err
		}
	}
	inventory := fmt.Sprintf("ssh = [%q]\n", p.path("ssh"))
	for number, cluster := range fleetClusters {
		inventory += fmt.Sprintf("\n[[cluster]]\nname  = %q\nhosts = [%q]\n", cluster.name, cluster.pattern)
		for _, host := range cluster.hosts {
			if err := p.write(ctx, this, host+"/tigerbeetle"); err != nil {
				return nil, err
			}
			config := fmt.Sprintf("target  = %q\nrestart = [%q, %q]\n", p.path(host, "tigerbeetle"), p.path("restart"), host)
			if err := os.WriteFile(p.path(host, "config.toml"), []byte(config), 0o644); err != nil {
				return nil, err
			}
		}
		if number == 0 {
			hidden, err := p.unseen(ctx, cluster.hosts[0]+"/tigerbeetle")
			if err != nil {
				return nil, err
			}
			if hidden != "" {
				return nil, fmt.Errorf("there may be replicas that cannot be seen from here, and then there is no rollout: %s", hidden)
			}
		}
		if err := p.cluster(ctx, number+1, cluster.hosts...); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(p.path("fleet.toml"), []byte(inventory), 0o644); err != nil {
		return nil, err
	}
	armed, err := p.changed("tb0.eu", "tb1.eu", "tb2.eu")
	if err != nil {
		return nil, err
	}
	down := p.path("tb3.eu", "down")
	return []step{
		{say: "What runs where?", line: "tbctl fleet status", why: "One table of all hosts. Looking changes nothing."},
		{
			say: "Plan a release for all three clusters. A first fault: the host tb3.eu is down.", line: "tbctl fleet plan 1.3.0 -o plan.json", want: failed,
			before: func() error { return os.WriteFile(down, nil, 0o644) },
			why:    "There is no plan, and nothing was changed. Each host, replica or release that hinders it is named, with what to do.",
		},
		{
			say: "It is up again. The same command again.", line: "tbctl fleet plan 1.3.0 -o plan.json",
			before: func() error { return os.Remove(down) },
			why:    "Every host was looked at, and the plan says which file comes to which host, and which replica is last. What to type next is below it.",
		},
		{
			say:  "Arm them: the file in place on all hosts but one of each cluster, so that none upgrades yet. A second fault: this controller is killed in the middle.",
			line: "tbctl fleet run plan.json --until armed", want: killed, kill: armed,
			why: "Each host has a whole binary, the old one or the new one. What was done is known on the hosts, not here.",
		},
		{
			say: "The same command again.", line: "tbctl fleet run plan.json --until armed",
			why: "It went on from what the hosts show, as it would from another machine. All clusters still run 1.2.0.",
		},
		{
			say:  "Promote the test cluster: the last swap, when it was stable for three seconds. There is no way back from it.",
			line: "tbctl fleet promote plan.json test --yes --stable 3s",
			why:  "The cluster upgraded by itself. It was watched until every replica ran 1.3.0 and its data said so.",
		},
		{
			say:  "The test cluster shows a problem, let us say: the way back for the others.",
			line: "tbctl fleet abort plan.json ledger cards",
			why:  "The previous file is back on every host, and the replicas were started again, one after the other.",
		},
		{
			say:  "The problem was another one. A new plan for the clusters that went back.",
			line: "tbctl fleet plan 1.3.0 ledger cards -o again.json", why: "What is aborted is over: a plan is carried out once, and its successor has a higher generation.",
		},
		{
			say:  "All of it in one command: stage, arm, and promote when each cluster was stable for three seconds, wave by wave.",
			line: "tbctl fleet run again.json --yes --stable 3s", why: "The hosts had the file in their stores already, and nothing was sent.",
		},
		{say: "What runs where now?", line: "tbctl fleet status", why: "All three clusters run 1.3.0."},
	}, nil
}

// changed returns a function that reports whether one of the hosts has got another file.
func (p *place) changed(hosts ...string) (func() bool, error) {
	before := make(map[string]os.FileInfo)
	for _, host := range hosts {
		info, err := os.Stat(p.path(host, "tigerbeetle"))
		if err != nil {
			return nil, err
		}
		before[host] = info
	}
	return func() bool {
		for host, info := range before {
			if now, err := os.Stat(p.path(host, "tigerbeetle")); err == nil && !os.SameFile(info, now) {
				return true
			}
		}
		return false
	}, nil
}
