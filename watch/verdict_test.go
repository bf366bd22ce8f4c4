package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

func TestVerdictOf(t *testing.T) {
	t.Parallel()
	rules := map[multiversion.Rule]Verdict{
		multiversion.RuleSize: VerdictTooLarge, multiversion.RuleKind: VerdictNoPlatform, multiversion.RuleNoSections: VerdictNoMultiversion,
		multiversion.RuleNoHeader: VerdictNoMultiversion, multiversion.RuleNoBody: VerdictNoMultiversion, multiversion.RuleRead: VerdictUnreadable,
		multiversion.RuleBodyOverlap: VerdictBodyOverlaps, multiversion.RuleHeaderInFile: VerdictTooSmall, multiversion.RuleMachine: VerdictArchitecture,
		multiversion.RuleHeaders: VerdictHeadersDiffer, multiversion.RuleHeaderChecksum: VerdictChecksum, multiversion.RuleSchema: VerdictInvalidSchema,
		multiversion.RulePastNewest: VerdictPastNewer, multiversion.RulePastSum: VerdictInvalidPast, multiversion.RuleELFShort: VerdictInvalidELF,
		multiversion.RulePESections: VerdictInvalidPE, multiversion.RuleMachOCount: VerdictInvalidMachO, multiversion.RuleCurrentVisit: VerdictInvalidHeader,
		multiversion.RuleReleasesMax: VerdictInvalidHeader,
	}
	for rule, want := range rules {
		err := fmt.Errorf("read it: %w", &multiversion.FormatError{Rule: rule})
		if got := verdictOf(err); got != want || ruleOf(err) != rule {
			t.Errorf("%s: %s (%s), want %s", rule, got, ruleOf(err), want)
		}
	}
	others := map[Verdict]error{
		VerdictAccepted: nil, VerdictNotExecutable: errNotExecutable, VerdictTooLarge: fmt.Errorf("x: %w", errTooLarge), VerdictChecksum: errChecksum,
		VerdictRunningMissing: &replica.Refusal{Reason: replica.ErrRunningVersionNotIncluded}, VerdictNotSuperset: &replica.Refusal{Reason: replica.ErrNotSuperset},
		VerdictNotFound: fs.ErrNotExist, VerdictAccessDenied: fs.ErrPermission, VerdictUnreadable: errors.New("something else"),
	}
	for want, err := range others {
		if got := verdictOf(err); got != want || ruleOf(err) != "" {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	one := replica.Process{PID: 1, Started: start, Replica: true, Running: replica.Running{Release: 5}}
	upgraded, reborn, armed, repl := one, one, one, one
	upgraded.Running.Release = 6
	reborn.Started = start.Add(time.Second)
	armed.Armed = &replica.Armed{Offered: []multiversion.Release{5, 6}}
	repl.Replica = false
	both := armed
	both.Running.Release = 6
	tests := []struct {
		name          string
		before, after []replica.Process
		want          []Kind
	}{
		{"nothing", []replica.Process{one}, []replica.Process{one}, nil},
		{"first", nil, []replica.Process{one}, []Kind{KindReplica}},
		{"ended", []replica.Process{one}, nil, []Kind{KindReplicaEnded}},
		{"upgraded", []replica.Process{one}, []replica.Process{upgraded}, []Kind{KindReplicaRunning}},
		{"armed", []replica.Process{one}, []replica.Process{armed}, []Kind{KindReplicaArmed}},
		{"both", []replica.Process{one}, []replica.Process{both}, []Kind{KindReplicaRunning, KindReplicaArmed}},
		{"the pid is another's now", []replica.Process{one}, []replica.Process{reborn}, []Kind{KindReplica, KindReplicaEnded}},
		{"not a replica", nil, []replica.Process{repl}, nil},
	}
	for _, test := range tests {
		var got []Kind
		for _, event := range changes("x", test.before, test.after) {
			got = append(got, event.Kind)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
