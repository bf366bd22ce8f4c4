package render_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/verify"
)

// hostile is a text from outside that would clear the screen and look like another line.
const hostile = "x\x1b[2J\r\nok: all is well\u202e"

// shown is what is written to a stream without colours. It fails if a terminal would act on a
// part of it, or if the text from outside made a line of its own.
func shown(t *testing.T, show func(out *term.Stream)) string {
	t.Helper()
	var buffer bytes.Buffer
	show(term.New(&buffer, term.ColorNever, func(string) string { return "" }))
	if text := buffer.String(); strings.ContainsAny(text, "\x1b\r\u202e") || strings.Contains(text, "\nok: all is well") {
		t.Errorf("what comes from outside acts: %q", text)
	}
	return buffer.String()
}

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	release := multiversion.NewRelease(0, 17, 8)
	status := &report.Status{
		Target:    fsatomic.Target{Path: "/opt/tb", OldPath: "/opt/tb-old"},
		Installed: &install.File{Release: release, Releases: []multiversion.Release{release}, SHA256: "ab"},
		DataFiles: []host.DataFile{{Path: hostile + "2", Gone: true}},
		HeldBy:    &durable.Holder{PID: 7, Command: hostile, Host: hostile, Start: time.Unix(0, 0)},
		Unseen:    []replica.Unseen{{Kind: replica.UnseenHidden, Reason: hostile}},
		Replicas: []host.Replica{
			{Process: replica.Process{PID: 9, Replica: true, State: replica.StateStarting, DataFile: hostile}, Outlook: hostile},
			{Process: replica.Process{PID: 10, Origin: replica.OriginClaimed, Exe: hostile}},
		},
	}
	text := shown(t, func(out *term.Stream) { render.Status(out, status, "tbctl status /opt/tb", false) })
	contains(t, text, "0.17.8", "gone", "under way:", "starting", "There may be others", "sudo tbctl status /opt/tb")
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	file := func(minor uint8) *install.File { return &install.File{Release: multiversion.NewRelease(0, 17, minor)} }
	plan := &install.Plan{
		Operation: install.OperationInstall, Action: install.ActionReplace, Installed: file(7), New: file(8),
		Target: fsatomic.Target{Path: "/opt/tb", OldPath: "/opt/tb-old"}, Origin: install.Origin{Source: hostile},
		Verified: &verify.Report{Findings: []verify.Finding{{Name: verify.CheckLocation, Status: verify.Held}, {Name: verify.CheckSizeLimit, Status: verify.Failed, Expected: "1", Found: hostile, Detail: hostile}}},
	}
	contains(t, shown(t, func(out *term.Stream) { render.Plan(out, &install.Outcome{Plan: plan}, nil, true) }),
		"replace 0.17.7 at /opt/tb with 0.17.8", "nothing stands against it", "location", "size-limit", "expected 1", "/opt/tb-old")
	contains(t, shown(t, func(out *term.Stream) {
		render.Outcome(out, &install.Outcome{Plan: plan, Result: install.ResultInstalled}, true)
	}),
		"installed: 0.17.8 at /opt/tb, which was 0.17.7", render.Untrusted)
	for result, want := range map[install.Result]string{install.ResultAlready: "0.17.8 is installed at /opt/tb already; nothing was touched", install.ResultRolledBack: "rolled back: 0.17.8 is back at /opt/tb"} {
		contains(t, shown(t, func(out *term.Stream) { render.Outcome(out, &install.Outcome{Plan: plan, Result: result}, false) }), want)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	record := install.Record{
		Phase: install.PhaseOutcome, Operation: install.OperationInstall, Result: install.ResultFailed, Target: "/opt/tb", User: "root", SudoUser: "ann",
		Old: &install.File{Release: multiversion.NewRelease(0, 17, 7)}, Source: hostile, Error: hostile,
	}
	history := &report.History{Journal: "/var/lib/tbctl/history.jsonl", Records: []install.Record{record, record}}
	text := shown(t, func(out *term.Stream) { render.History(out, history, "", 1) })
	contains(t, text, "0.17.7 stays", "root (sudo ann)")
	if strings.Count(text, "0.17.7 stays") != 1 {
		t.Errorf("more than the last operation:\n%s", text)
	}
	contains(t, shown(t, func(out *term.Stream) { render.History(out, &report.History{Journal: "j"}, hostile, 0) }), "nothing about x", "tbctl history")

	// A restart is shown once, by its outcome, or as one whose end is not known.
	restart := func(id string, phase install.Phase, result install.Result, failed string) install.Record {
		return install.Record{
			ID: id, Phase: phase, Operation: install.OperationRestart, Result: result, Target: "/opt/tb", User: "root", Error: failed,
			Restarted: &install.Restarted{Command: []string{"systemctl", "restart", "tb.service"}, PIDs: []int{41, 42}},
			Rollout:   &install.Rollout{Plan: "sha256:aa", Generation: 4, Epoch: 2, Holder: fleet.Holder{Who: hostile + "ana@bastion"}},
		}
	}
	history.Records = []install.Record{
		restart("1", install.PhaseIntent, "", ""), restart("1", install.PhaseOutcome, install.ResultRestarted, ""),
		restart("2", install.PhaseIntent, "", ""), restart("3", install.PhaseOutcome, install.ResultFailed, hostile),
	}
	text = shown(t, func(out *term.Stream) { render.History(out, history, "", 0) })
	contains(t, text, "restarted", "process 41, 42", "ana@bastion", "restart by [\"systemctl\" \"restart\" \"tb.service\"] for sha256:aa (generation 4, epoch 2)", "its end was not recorded", "unknown", "failed")
	if strings.Count(text, "process 41, 42") != 3 || strings.Count(text, "not recorded") != 1 {
		t.Errorf("not three restarts of which one is open:\n%s", text)
	}
}
