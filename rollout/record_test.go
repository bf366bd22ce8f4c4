package rollout_test

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/rollout"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// record is what is made, without asking a host, of a plan of two hosts and these entries of the journal.
func record(t *testing.T, entries ...rollout.Entry) *report.FleetReport {
	t.Helper()
	journal := &rollout.Journal{FS: memfs.New(memfs.Options{}), Dir: "/"}
	err := durable.WriteFile(journal.FS, "/rollout.jsonl", 0o600, true, func(w io.Writer) error {
		for index, entry := range entries {
			entry.Time = time.Unix(int64(1000+index), 0).UTC()
			line, err := json.Marshal(entry)
			if err != nil {
				return err
			}
			if _, err := w.Write(append(line, '\n')); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	plan := &fleet.Plan{Clusters: []fleet.PlannedCluster{{Name: "eu", Hosts: []fleet.PlannedHost{{Name: "tb0", Target: "/t"}, {Name: "tb1", Target: "/t"}}}}}
	return rollout.Record(t.Context(), rollout.RecordOptions{Plan: plan, ID: "sha256:p", Journal: journal, Now: time.Unix(9999, 0), Store: depot.Open(memfs.New(memfs.Options{}), "/store")})
}

func entry(host string, request rollout.Request, change ...func(*rollout.Entry)) rollout.Entry {
	e := rollout.Entry{Rollout: "sha256:p", Cluster: "eu", Host: host, Target: "/t", Request: request, Epoch: 1}
	for _, do := range change {
		do(&e)
	}
	return e
}

// TestRecordMoments holds what each request is called, of which host, and that the same again is one moment.
func TestRecordMoments(t *testing.T) {
	t.Parallel()
	phase := func(phase fleet.Phase) func(*rollout.Entry) { return func(e *rollout.Entry) { e.Phase = phase } }
	promotes := func(e *rollout.Entry) { e.Phase, e.Promotes = fleet.PhaseArmed, true }
	lost := func(e *rollout.Entry) {
		e.Result, e.Reason, e.Causes = fault.Failed, "lost", []string{"host tb0: gone", "EOF"}
	}
	r := record(t,
		entry("tb0", rollout.RequestSend), entry("tb0", rollout.RequestCheck), entry("tb0", rollout.RequestCheck),
		entry("tb0", rollout.RequestClaim), entry("tb0", rollout.RequestSwap, lost, phase(fleet.PhaseArmed)), entry("tb0", rollout.RequestSwap, phase(fleet.PhaseArmed)),
		entry("tb0", rollout.SeenArmed),
		entry("tb0", rollout.RequestSwap, phase(fleet.PhaseAborting)), entry("tb0", rollout.RequestRestart), entry("tb0", rollout.RequestPhase, phase(fleet.PhaseAborted)),
		entry("tb1", rollout.RequestSwap, promotes, lost), // not done
		entry("tb1", rollout.RequestSwap, promotes),
		entry("tb0", rollout.SeenRunning), entry("tb0", rollout.RequestObserve),
		rollout.Entry{Rollout: "sha256:other", Cluster: "eu", Host: "tb0", Target: "/t", Request: rollout.RequestSend},
	)
	for index, want := range []string{
		"staged checked×2 claimed failed(swap, lost: host tb0: gone) swapped armed restored restarted aborted stable(the whole cluster, for the whole of the time that was asked for) promoted(by the swap on tb1) running reachable again",
		"failed(swap, lost: host tb0: gone) stable(the whole cluster, for the whole of the time that was asked for) promoted",
	} {
		var words []string
		for _, m := range r.Hosts[index].Moments {
			word := m.What
			if m.Count > 1 {
				word += fmt.Sprintf("×%d", m.Count)
			}
			if m.Text != "" {
				word += "(" + m.Text + ")"
			}
			words = append(words, word)
		}
		if got := strings.Join(words, " "); got != want {
			t.Errorf("%s:\n%s, want\n%s", r.Hosts[index].Name, got, want)
		}
	}
	if len(r.Requests) != 14 || r.LeftOut != 0 || !r.Offline {
		t.Errorf("%d requests", len(r.Requests))
	}
}

// TestRecordUnseen proves that what is not known is said.
func TestRecordUnseen(t *testing.T) {
	t.Parallel()
	all := strings.Join(record(t).Unseen, "\n")
	for _, want := range []string{"has no request of the plan", "Nothing that this machine knows of vouches", "client minimums and checksum that the plan says was not checked here", "Which clients are in use", "No host was asked"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not said in\n%s", want, all)
		}
	}
	if all := strings.Join(record(t, entry("tb0", rollout.RequestSend)).Unseen, "\n"); !strings.Contains(all, "from 1970-01-01T00:16:40Z on") {
		t.Errorf("since when it is known is not said in\n%s", all)
	}
}
