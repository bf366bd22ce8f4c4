package verify_test

import (
	"slices"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/verify"
)

// The way back with nothing known is not one: that which release runs is not known is
// said, and is no permission; with something known, that decides.
func TestReplaceBack(t *testing.T) {
	t.Parallel()
	older := testbin.Load(t, testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.1"), Past: testbin.PastOf("0.17.0")}))
	newer := testbin.Load(t, testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.2"), Past: testbin.PastOf("0.17.0", "0.17.1")}))
	stranger := testbin.Load(t, testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.3"), Past: testbin.PastOf("0.17.2")}))
	need := func(release string) []verify.Need {
		return []verify.Need{{Release: testbin.Release(release), Why: verify.NeedData}}
	}
	tests := []struct {
		name            string
		next, installed verify.Installed
		options         verify.ReplaceOptions
		ok              bool
		rule            string
	}{
		{"overlap", verify.Installed{Binary: older}, verify.Installed{Binary: newer}, verify.ReplaceOptions{}, false, ""},
		{"overlap, stopped", verify.Installed{Binary: older}, verify.Installed{Binary: newer}, verify.ReplaceOptions{Stopped: true}, false, ""},
		{"no overlap", verify.Installed{Binary: older}, verify.Installed{Binary: stranger}, verify.ReplaceOptions{}, false, verify.RuleRunningNotIncluded},
		{"forth again", verify.Installed{Binary: newer}, verify.Installed{Binary: older}, verify.ReplaceOptions{}, true, ""},
		{"data is older", verify.Installed{Binary: older}, verify.Installed{Binary: newer}, verify.ReplaceOptions{Needs: need("0.17.1"), Stopped: true}, true, ""},
		{"data is newer", verify.Installed{Binary: older}, verify.Installed{Binary: newer}, verify.ReplaceOptions{Needs: need("0.17.2"), Stopped: true}, false, verify.RuleRunningNotIncluded},
		{"offered already", verify.Installed{Binary: older}, verify.Installed{Binary: newer}, verify.ReplaceOptions{Needs: need("0.17.1")}, false, verify.RuleNotSuperset},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.options.Back, test.options.AllowDowngrade = true, true
			report := verify.Replace(test.next.Binary, test.installed, test.options)
			if report.Ok != test.ok {
				t.Fatalf("Ok is %v, want %v: %+v", report.Ok, test.ok, report.Findings)
			}
			for _, finding := range report.Findings {
				if finding.Status == verify.Failed && finding.Rule != test.rule {
					t.Errorf("failed with %q, want %q", finding.Rule, test.rule)
				}
			}
			unknown := slices.ContainsFunc(report.Findings, func(finding verify.Finding) bool {
				return finding.Name == verify.CheckRunning && finding.Status == verify.NotChecked
			})
			if want := test.name == "overlap" || test.name == "overlap, stopped"; unknown != want || want && report.Diagnosis == "" {
				t.Errorf("what the cluster runs is not known: %v, want %v: %q", unknown, want, report.Diagnosis)
			}
		})
	}
}
