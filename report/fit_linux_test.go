package report_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/vfs"
)

// Strangers' processes are bounded in number and in their texts, come after those that count, and what is left out is counted.
func TestStatusStrangers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: whose a process is is told by the owner of its directory, unless that is root")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	target, proc := testbin.BuildFile(t, testbin.Spec{}, dir), t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(proc, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	process := func(pid int, uid, dataFile string) {
		name := strconv.Itoa(pid)
		write(name+"/stat", name+" (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 567 0 0\n")
		write(name+"/cmdline", strings.Join([]string{target, "start", "--addresses=" + strings.Repeat("3000,", 700) + "3000", dataFile}, "\x00")+"\x00")
		write(name+"/status", "Uid:\t"+uid+"\t0\t0\t0\n")
		if err := errors.Join(os.Mkdir(filepath.Join(proc, name, "ns"), 0o755), os.Mkdir(filepath.Join(proc, name, "fd"), 0o755)); err != nil {
			t.Fatal(err)
		}
		for link, text := range map[string]string{"exe": target, "root": "/", "cwd": "/", "ns/mnt": "mnt:[1]"} {
			if err := os.Symlink(text, filepath.Join(proc, name, link)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(os.MkdirAll(filepath.Join(proc, "self/ns"), 0o755), os.Symlink("mnt:[1]", filepath.Join(proc, "self/ns/mnt")), os.Symlink("/", filepath.Join(proc, "self/root"))); err != nil {
		t.Fatal(err)
	}
	const strangers, service = 60, 700
	for pid := 2; pid < 2+strangers; pid++ {
		process(pid, "1500", "/"+strings.Repeat("d/", 1900)+"x.tb")
	}
	process(service, "0", "/none")
	var status report.Status
	status.See(t.Context(), host.Query{Target: target, Replicas: replica.Options{Proc: proc}})
	if len(status.Replicas) == 0 || status.Replicas[0].PID != service || !status.Replicas[0].Counts() || status.Replicas[0].DataFile != "/none" {
		t.Fatalf("the first is none that counts: %+v", status.Replicas)
	}
	if shown := len(status.Replicas) - 1; shown != 8 || status.LeftOut+status.Skipped != strangers-8 {
		t.Errorf("%d strangers are shown, %d are left out and %d were skipped, of %d", shown, status.LeftOut, status.Skipped, strangers)
	}
	for _, each := range status.Replicas[1:] {
		text, err := report.Encode(each, "")
		if err != nil || len(text) > 6<<10 || each.Counts() || !strings.HasSuffix(each.DataFile, " bytes more)") {
			t.Errorf("%v, %d bytes: %s", err, len(text), text)
		}
	}
}

// Of files that who may write the directory can make the first are shown, and the others are counted.
func TestStatusLeftovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := testbin.BuildFile(t, testbin.Spec{}, dir)
	const all = 40
	for index := range all {
		testbin.WriteFile(t, filepath.Join(dir, fmt.Sprintf(".%s.tbctl-stage-%016x", filepath.Base(target), index)), nil)
	}
	in := &install.Installer{FS: vfs.OS(), Journal: &install.Journal{FS: vfs.OS(), Dir: t.TempDir()}}
	status, err := report.NewStatus(t.Context(), in, target)
	if err != nil || len(status.Leftovers) != 16 || status.MoreLeft != all-16 {
		t.Errorf("%v: %d leftovers, and %d more", err, len(status.Leftovers), status.MoreLeft)
	}
}

// A report is never too large: what matters least is left out first, which is said, and a target that is too large takes no other with it.
func TestHostFit(t *testing.T) {
	t.Parallel()
	counts := func() host.Replica {
		return host.Replica{Process: replica.Process{PID: 1, Replica: true, DataFile: "/data"}}
	}
	claims := func(count, size int) (all []host.Replica) {
		for pid := range count {
			all = append(all, host.Replica{Process: replica.Process{PID: 2 + pid, Origin: replica.OriginClaimed, Command: strings.Repeat("x", size)}})
		}
		return all
	}
	notices := func(count, size int) (all []advisory.Notice) {
		for range count {
			all = append(all, advisory.Notice{Advisory: advisory.Advisory{To: testbin.Release("0.17.8")}, Message: strings.Repeat("m", size)})
		}
		return all
	}
	for _, test := range []struct {
		name         string
		status       report.Status
		warnings     int
		said         string // in a warning; "": none
		unseen       bool
		replicas     int
		leftOut, sum int
	}{
		{name: "small", status: report.Status{Replicas: append([]host.Replica{counts()}, claims(3, 10)...), Advisories: notices(20, 10)}, replicas: 4, sum: 20},
		{name: "processes that do not count", status: report.Status{Replicas: append([]host.Replica{counts()}, claims(300, 4000)...), LeftOut: 2}, said: "300 processes", replicas: 1, leftOut: 302},
		{name: "a few bytes for many values", status: report.Status{Replicas: append([]host.Replica{counts()}, host.Replica{Process: replica.Process{Addresses: strings.Repeat(",", 70_000)}})}, said: "1 processes", replicas: 1, leftOut: 1},
		{name: "notices", status: report.Status{Replicas: []host.Replica{counts()}, Advisories: notices(1000, 1100)}, said: "984 notices", replicas: 1, sum: 16},
		{name: "warnings", status: report.Status{Replicas: []host.Replica{counts()}}, warnings: 20_000, said: "19984 warnings", replicas: 1},
		{name: "a text", status: report.Status{Replicas: []host.Replica{counts()}, Last: &install.Record{Error: strings.Repeat("e", 1_100_000)}}, said: "over 1024 bytes", replicas: 1},
		{name: "what cannot be shortened", status: report.Status{Replicas: []host.Replica{counts()}, Last: &install.Record{Verified: make([]string, 70_000)}}, unseen: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := "/" + strings.Repeat("p", 2000)
			other := report.HostTarget{Path: "/other", Status: &report.Status{Target: fsatomic.Target{Path: "/other"}, Advisories: notices(20, 10), Replicas: []host.Replica{counts()}}}
			test.status.Target.Path = path
			h := &report.Host{Name: "g1", Targets: []report.HostTarget{other, {Path: path, Status: &test.status, Warnings: make([]string, test.warnings), WayBackLost: "x"}, other}}
			for index := range h.Targets[1].Warnings {
				h.Targets[1].Warnings[index] = strings.Repeat("w", 60)
			}
			want, err := report.Encode(other, "")
			if err != nil {
				t.Fatal(err)
			}
			text, err := h.Fit()
			if size := report.HostSize(text); err != nil || size > report.HostSizeMax {
				t.Fatalf("%d bytes, %v", size, err)
			}
			var got report.Host
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			for _, index := range []int{0, 2} {
				if same, err := report.Encode(got.Targets[index], ""); err != nil || string(same) != string(want) {
					t.Errorf("another target is %s, was %s: %v", same, want, err)
				}
			}
			shown := got.Targets[1]
			if shown.Path != path || (shown.Status == nil) != test.unseen {
				t.Fatalf("%.80s, status %v, problem %.80q", shown.Path, shown.Status != nil, shown.Problem)
			}
			if test.unseen {
				if !strings.Contains(shown.Problem, "tbctl status "+path) || shown.WayBackLost != "" {
					t.Errorf("%q", shown.Problem)
				}
				return
			}
			said := strings.Join(shown.Warnings, "\n")
			if !strings.Contains(said, test.said) || test.said == "" && said != "" {
				t.Errorf("said: %.200q", said)
			}
			if s := shown.Status; s.Target.Path != path || len(s.Replicas) != test.replicas || s.LeftOut != test.leftOut || len(s.Advisories) != test.sum || !s.Replicas[0].Counts() {
				t.Errorf("%d replicas, %d left out, %d notices", len(s.Replicas), s.LeftOut, len(s.Advisories))
			}
		})
	}
}

// What a stranger runs warns of nothing.
func TestStatusAdvises(t *testing.T) {
	t.Parallel()
	for _, stranger := range []bool{false, true} {
		running := replica.Running{Release: testbin.Release("0.16.77"), Certain: true}
		status := report.Status{Replicas: []host.Replica{{Process: replica.Process{PID: 2, Replica: true, Stranger: stranger, Running: running}}}}
		if status.Advise(nil); (len(status.Advisories) == 0) != stranger {
			t.Errorf("a stranger: %t: %d notices", stranger, len(status.Advisories))
		}
	}
}

// A file that the next installation keeps as the previous one is told before all that are cleared away.
func TestStatusLeftoversKept(t *testing.T) {
	t.Parallel()
	all := append(make([]fsatomic.Leftover, 30), fsatomic.Leftover{Path: "/kept", Action: fsatomic.ActionKept})
	var status report.Status
	if status.Leave(all); status.Leftovers[0].Path != "/kept" || len(status.Leftovers) != 16 || status.MoreLeft != 15 {
		t.Errorf("%d more than %+v", status.MoreLeft, status.Leftovers)
	}
}
