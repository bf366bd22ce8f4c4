package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

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
