package verify_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/verify"
)

// TestReplaceSubjects names the releases of which an advisory may tell: the stops on the way, but not where it
// ends, and what is left by a replica that may miss the new file.
func TestReplaceSubjects(t *testing.T) {
	t.Parallel()
	subjects := func(report verify.ReplaceReport) (all []string) {
		for _, s := range report.Subjects() {
			all = append(all, string(s.About)+" "+s.Release.String())
		}
		return all
	}
	for _, tc := range []struct {
		installed, next string
		options         verify.ReplaceOptions
		want            []string
	}{
		{"5 | 6", "5 6 7v | 8", verify.ReplaceOptions{}, []string{"hop 0.17.7"}},
		{"5 6 | 7", "5 6 7 | 8", verify.ReplaceOptions{}, nil},
		{"0.16.19 | 0.16.20", "0.16.20 | 0.16.30", verify.ReplaceOptions{}, []string{"leaving 0.16.20"}},
		{"0.16.19 | 0.16.20", "0.16.20 | 0.16.30", verify.ReplaceOptions{Stopped: true}, nil},
	} {
		report := verify.Replace(file(t, tc.next), verify.Installed{Binary: file(t, tc.installed)}, tc.options)
		if got := subjects(report); !slices.Equal(got, tc.want) {
			t.Errorf("%s to %s: %q, want %q", tc.installed, tc.next, got, tc.want)
		}
	}
	report := verify.Replace(file(t, "0.16.20 | 0.16.30"), verify.Installed{Binary: file(t, "0.16.19 | 0.16.20")}, verify.ReplaceOptions{})
	for _, a := range advisory.BuiltIn().Leaving(testbin.Release("0.16.20")) {
		if !slices.ContainsFunc(report.Findings, func(f verify.Finding) bool {
			return f.Name == verify.CheckRestart && f.Status == verify.Remarked && strings.Contains(f.Detail, a.Text)
		}) {
			t.Errorf("no remark says: %s", a.Text)
		}
	}
}
