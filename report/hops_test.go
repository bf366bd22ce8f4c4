package report

import (
	"testing"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/watch"
)

// TestOnTheWay: whoever watches a binary is told of a release to be skipped through which its replicas go, and of none that they have
// behind them.
func TestOnTheWay(t *testing.T) {
	t.Parallel()
	release := func(text string) multiversion.Release {
		number, err := multiversion.ParseRelease(text)
		if err != nil {
			t.Fatal(err)
		}
		return number
	}
	header := &multiversion.Header{Past: []multiversion.Past{{Release: release("0.17.5")}, {Release: release("0.17.6"), Visit: true}}}
	header.Current.Release = release("0.17.9")
	for running, want := range map[string]int{"0.17.5": 1, "0.17.6": 0} {
		event := watch.Event{Header: header, Replicas: []watch.Judgement{{Running: release(running), Verdict: watch.VerdictAccepted}}}
		notices := OnTheWay(event, nil)
		if len(notices) != want || want > 0 && (notices[0].About != advisory.AboutHop || !notices[0].Skip) {
			t.Errorf("from %s: %+v", running, notices)
		}
	}
}
