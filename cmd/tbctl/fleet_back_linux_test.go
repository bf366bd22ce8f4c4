package main

import (
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
