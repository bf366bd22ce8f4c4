package main

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testhost"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/verify"
)

// byHand puts a file in place of the installed one, which is executed.
func byHand(h *testhost.Host, binary []byte) {
	h.WriteFile("/usr/local/bin/by-hand", binary, 0o755)
	h.Run("mv", "/usr/local/bin/by-hand", "/usr/local/bin/tigerbeetle")
}

// A file that is damaged could not be put back: there is no plan, the host's check says so too, and what the hint names mends it.
func TestFleetDamaged(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 3)
	whole := standin.Binary(t, "0.17.7", "0.17.6")
	f.serve(whole)
	next, file := f.next("0.17.8", "0.17.6", "0.17.7"), filepath.Join(t.TempDir(), "plan.json")
	damaged := append([]byte{}, whole...)
	damaged[len(damaged)/2] ^= 1
	h := f.Host("tb1")
	byHand(h, damaged)
	if result, code := f.plan(next, "-o", file); code != 4 || reasons(result.Problems) != "tb1 installed-damaged" || result.Plan != nil {
		t.Errorf("exit code %d, %s: %+v", code, reasons(result.Problems), result.Problems)
	}
	session := f.session(h.Name)
	checked, err := session.Check(t.Context(), remote.CheckRequest{Artifact: put(t, session, standin.Binary(t, "0.17.8", "0.17.6", "0.17.7"))})
	if err != nil || checked.OK {
		t.Fatalf("%v, %+v", err, checked)
	}
	for _, check := range checked.Checks {
		if check.Question == host.QuestionBack && (check.Status != verify.Failed || !strings.Contains(check.Detail, "damaged")) {
			t.Errorf("%+v", check)
		}
	}
	h.WriteFile("/root/tigerbeetle", whole, 0o755)
	h.Run("/usr/local/bin/tbctl", "install", "/root/tigerbeetle", "/usr/local/bin/tigerbeetle")
	if result, code := f.plan(next, "-o", file); code != 0 {
		t.Errorf("mended: exit code %d, %+v", code, result.Problems)
	}
}

// A plan's file that was installed by hand is not one that an abort could take back: nothing is armed or claimed.
func TestFleetByHand(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 3)
	file := f.planned()
	if _, code := f.carry("stage", file); code != 0 {
		t.Fatalf("stage: exit code %d", code)
	}
	// What is in the way on a host is of the same class as where the file is installed by hand there: it can be mended.
	f.Hosts[1].Run("mkdir", "/usr/local/bin/tigerbeetle-old")
	if result, code := f.carry("stage", file); code != 1 || !strings.Contains(result.Clusters[0].Problems[0].Message, "it is a directory") {
		t.Errorf("stage: exit code %d: %+v", code, result.Clusters[0].Problems)
	}
	f.Hosts[1].Run("rmdir", "/usr/local/bin/tigerbeetle-old")
	byHand(f.Hosts[0], standin.Binary(t, "0.17.8", "0.17.6", "0.17.7"))
	for _, verb := range []string{"arm", "abort"} {
		result, code := f.carry(verb, file)
		if blocked := result.Clusters[0].Problems; code != 4 || len(blocked) != 1 || blocked[0].Host != "tb0" || string(blocked[0].Reason) != "drift" {
			t.Errorf("%s: exit code %d: %+v", verb, code, blocked)
		}
	}
	for _, h := range f.shows("one replica runs on each host", nil) {
		if h.Report.Targets[0].Status.Fence != nil {
			t.Errorf("%s is claimed", h.Name)
		}
	}
}

// wayBackLost takes the file away that an abort would put back on an armed host: nothing more is armed, an abort names the file and the way, and
// so does who looks. Then it brings that file into the host's store, as it says.
func (f *liveFleet) wayBackLost(h *testhost.Host, file string) {
	f.t.Helper()
	previous := standin.Binary(f.t, "0.17.7", "0.17.6")
	sum := sha256.Sum256(previous)
	digest := hex.EncodeToString(sum[:])
	h.Run("rm", "/usr/local/bin/tigerbeetle-old")
	for _, verb := range []string{"arm", "abort"} {
		if _, errs, code := f.tbctl("fleet", verb, file, "-q"); code != 4 || !strings.Contains(errs, "ledger, "+h.Name+": the file from before the plan, sha256:"+digest) || !strings.Contains(errs, "tbctl store import FILE --sha256 "+digest) {
			f.t.Errorf("%s: exit code %d:\n%s", verb, code, errs)
		}
	}
	if out, _, _ := f.tbctl("fleet", "status"); strings.Count(out, "no way back:") != 1 || !strings.Contains(out, h.Name+": no way back: the file from before the rollout, sha256:"+digest) {
		f.t.Errorf("status:\n%s", out)
	}
	h.WriteFile("/root/previous", previous, 0o755)
	h.Run("/usr/local/bin/tbctl", "store", "import", "/root/previous", "--sha256", digest, "--state-dir", "/var/lib/tbctl")
}

// An abort that cannot start replicas again says on which host the previous file is under a replica that holds the new one, and so does each
// command that looks, until an operator has started it: then the same command goes on, to its end.
func TestFleetNotRestarted(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 3)
	file := f.planned() // its replicas are in no unit, and nothing says how they are started
	for _, verb := range []string{"stage", "arm"} {
		if _, code := f.carry(verb, file); code != 0 {
			t.Fatalf("%s: exit code %d", verb, code)
		}
	}
	f.wayBackLost(f.Host("tb0"), file)
	const left = "still holds 0.17.8 in memory"
	for started := 0; ; started++ {
		out, errs, code := f.tbctl("fleet", "abort", file, "-q")
		if code == 0 {
			if started != 2 {
				t.Errorf("%d replicas were started by hand", started)
			}
			break
		}
		var name string
		for _, h := range f.Hosts {
			if strings.Contains(errs, "error: ledger, "+h.Name+": ") {
				name = h.Name
			}
		}
		if code != 4 || name == "" || !strings.Contains(errs, left) || !strings.Contains(errs, "how it is restarted is not known") || !strings.Contains(errs, "start it again, then: tbctl fleet abort "+file+" ledger") || started == 2 {
			t.Fatalf("exit code %d:\n%s%s", code, out, errs)
		}
		result, code := f.carry("stop", file)
		if c := result.Clusters[0]; code != 0 || c.Step != "aborting" || len(c.NotRestarted) != 1 || c.NotRestarted[0].Host != name || !strings.Contains(c.WayOn, "fleet abort") {
			t.Errorf("stop: exit code %d, %+v", code, c)
		}
		out, errs, code = f.tbctl("fleet", "status")
		if code != 1 || !strings.Contains(out, name+": not started again: ") || !strings.Contains(errs, "than the installed file has, on "+name) {
			t.Errorf("status: exit code %d:\n%s%s", code, out, errs)
		}
		reported, _ := f.reported(file)
		for _, h := range reported.Hosts {
			if told := len(h.Differs) == 1 && strings.Contains(h.Differs[0], "holds 0.17.8 in memory"); told != (h.Name == name) {
				t.Errorf("report: %s: %q", h.Name, h.Differs)
			}
		}
		f.Host(name).Run(restart)
	}
	if _, code := f.status(); code != 0 {
		t.Errorf("after it: exit code %d", code)
	}
}
