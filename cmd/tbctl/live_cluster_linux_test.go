package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
)

// tbctl exec starts a replica on the release of its data file, as the newest
// release would do it, in the same process; from there it lives as any other.
func TestLiveExec(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	next := l.binary("0.17.8", "0.17.6", "0.17.7v")
	l.tbctl("install", next, l.target).ends(0)
	start := []string{"start", "--addresses=" + standin.Addresses(1), l.data}
	p := standin.Run(t, "tbctl", standin.Options{Upgrade: l.permit}, append([]string{"exec", "--data-file", l.data, l.target, "--"}, start...)...)
	p.Must(fmt.Sprintf("%d 0.17.6: listening, releases_bundled: [0.17.6 0.17.7]", p.PID()))

	// What upstream's way comes to.
	q := l.start(standin.Options{Upgrade: "never", Args: start[1:2]})
	q.Must("0.17.6: listening, releases_bundled: [0.17.6 0.17.7]")
	for _, name := range []string{"exe", "cmdline"} {
		if got, want := l.proc(p, name), l.proc(q, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	q.Kill()

	l.status(p, stands{"0.17.8", "0.17.6", "0.17.8", "0.17.6, 0.17.7", "0.17.6", "upgrades to 0.17.7"})
	l.tbctl("install", l.binary("0.17.9", "0.17.6", "0.17.7v", "0.17.8"), l.target, "--wait-armed", "2m").ends(0, "armed:")
	l.allow("")
	l.runs("0.17.9")
	p.Kill()
	l.tbctl("exec", "--data-file", l.data, l.target+"-old", "--", "version").ends(3, "0.17.9")
	if said := l.tbctl("exec", "--data-file", l.data, l.target, "--", "version").ends(0); !strings.HasSuffix(said.out, "0.17.9\n") {
		t.Errorf("it prints %q", said.out)
	}
}

// proc is what /proc tells of a process.
func (l *live) proc(p *standin.Process, name string) string {
	l.t.Helper()
	path := filepath.Join("/proc", fmt.Sprint(p.PID()), name)
	text, err := os.Readlink(path)
	if err != nil {
		var data []byte
		data, err = os.ReadFile(path)
		text = string(data)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

// liveLoop is how an operator upgrades a cluster from a shell: each host in turn,
// and the next one only when this one is armed. The permit stands for the cluster,
// which upgrades when the last one is.
const liveLoop = `
for host in $HOSTS; do
  tbctl verify "$NEW" --against "$host/tigerbeetle" --quiet >/dev/null || exit
  tbctl install "$NEW" "$host/tigerbeetle" --wait-armed 2m --quiet || exit
done
: > "$PERMIT"
for host in $HOSTS; do
  tbctl watch "$host/tigerbeetle" --until running=0.17.8 --timeout 2m --interval 50ms --quiet || exit
done
`

// Three replicas, three targets, one history.
func TestLiveCluster(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	next := l.binary("0.17.8", "0.17.6", "0.17.7v")
	var hosts []string
	var replicas []*standin.Process
	start := func(index int) *standin.Process {
		t.Helper()
		return standin.Start(t, filepath.Join(hosts[index], "tigerbeetle"), filepath.Join(hosts[index], "data.tigerbeetle"), standin.Options{Upgrade: l.permit})
	}
	for index := range 3 {
		host := filepath.Join(l.dir, fmt.Sprint("host", index))
		if err := os.Mkdir(host, 0o755); err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, host)
		target := filepath.Join(host, "tigerbeetle")
		l.tbctl("install", l.target, target).ends(0)
		format := standin.Run(t, target, standin.Options{}, "format", "--cluster=7", "--replica-count=3", fmt.Sprint("--replica=", index), filepath.Join(host, "data.tigerbeetle"))
		if format.Exit() != 0 {
			t.Fatal(format.Log())
		}
		replicas = append(replicas, start(index))
	}
	loop := func() said {
		command := exec.Command("sh", "-c", liveLoop)
		command.Env = append(l.env(), "HOSTS="+strings.Join(hosts, " "), "NEW="+next, "PERMIT="+l.permit)
		return l.run(command)
	}

	// The second host would refuse: the loop stops there, the first is armed, the third as it was.
	replicas[1].Kill()
	odd := filepath.Join(hosts[1], "tigerbeetle")
	standin.Replace(t, odd, standin.Binary(t, "0.17.5", "0.17.4"))
	superblock := *l
	superblock.data = filepath.Join(hosts[1], "data.tigerbeetle")
	superblock.rewrite("0.17.5")
	replicas[1] = start(1)
	loop().ends(4, "the new file lacks release 0.17.5, which a replica runs")
	l.tbctl("status", filepath.Join(hosts[0], "tigerbeetle")).ends(0).prints("upgrades to 0.17.7 when every replica of the cluster offers it")
	l.tbctl("status", filepath.Join(hosts[2], "tigerbeetle")).ends(0).prints("stays at 0.17.6")

	// It is brought to where the others are, and the same loop goes through.
	l.tbctl("install", l.target, odd, "--wait-armed", "2m").ends(0, "armed:")
	l.allow("0.17.6")
	l.tbctl("watch", odd, "--until", "running=0.17.6", "--timeout", "2m", "--interval", "50ms").ends(0)
	if err := os.Remove(l.permit); err != nil {
		t.Fatal(err)
	}
	loop().ends(0)
	for index, host := range hosts {
		var document liveDocument
		l.tbctl("status", filepath.Join(host, "tigerbeetle"), "--json").ends(0).decode(&document)
		found := document.Result.Replicas
		if len(found) != 1 || found[0].PID != replicas[index].PID() || found[0].Running.Release.String() != "0.17.8" || found[0].Superblock.Release.String() != "0.17.8" {
			t.Errorf("%s: %+v", host, found)
		}
	}
	loop().ends(0) // again: nothing is done
	l.tbctl("history", filepath.Join(hosts[0], "tigerbeetle")).ends(0).prints("0.17.8")
}
