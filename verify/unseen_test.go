package verify_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/verify"
)

// Replicas that nobody has seen may run any release of the installed file.
func TestReplaceUnseen(t *testing.T) {
	t.Parallel()
	why := []string{"other users' processes are hidden"}
	tests := []struct {
		name         string
		next, before string
		options      verify.ReplaceOptions
		status       verify.Status // of the check; empty: it is not made
		detail       string
	}{
		{"holds all", "6 7 8 | 9", "6 7 | 8", verify.ReplaceOptions{Unseen: why}, verify.Remarked, "cannot be seen from here: other users'"},
		{"lacks one", "7 8 | 9", "6 7 | 8", verify.ReplaceOptions{Unseen: why}, verify.Failed, "no longer holds 0.17.6, and whether a replica runs it"},
		{"lacks some", "8 | 9", "5 6 7 | 8", verify.ReplaceOptions{Unseen: why}, verify.Failed, "no longer holds 0.17.5, 0.17.6, 0.17.7, and whether a replica runs one of them cannot"},
		{"lacks one, and another runs", "7 8 | 9", "6 7 | 8", verify.ReplaceOptions{Unseen: why, Needs: running(7)}, verify.Failed, "0.17.6"},
		{"lacks one, which is settled", "7 8 | 9", "6 7 | 8", verify.ReplaceOptions{Unseen: why, Needs: running(7), Settled: true}, verify.Remarked, "cannot be seen"},
		{"the way back", "6 7 | 8", "6 7 8 | 9", verify.ReplaceOptions{Unseen: why, Needs: running(8), AllowDowngrade: true, Back: true, Stopped: true}, verify.Failed, "0.17.9"},
		{"all is seen", "7 8 | 9", "6 7 | 8", verify.ReplaceOptions{}, "", ""},
		{"nothing is there", "8 | 9", "", verify.ReplaceOptions{Unseen: why}, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var installed verify.Installed
			if test.before != "" {
				installed.Binary = file(t, test.before)
			}
			report := verify.Replace(file(t, test.next), installed, test.options)
			index := slices.IndexFunc(report.Findings, func(finding verify.Finding) bool { return finding.Name == verify.CheckUnseen })
			if test.status == "" {
				if index >= 0 || !report.Ok {
					t.Errorf("got %+v", report)
				}
				return
			}
			if index < 0 {
				t.Fatalf("no finding in %+v", report.Findings)
			}
			got := report.Findings[index]
			if got.Status != test.status || !strings.Contains(got.Detail, test.detail) || report.Ok != (test.status == verify.Remarked) {
				t.Errorf("%s: %q; ok %t: %s", got.Status, got.Detail, report.Ok, report.Diagnosis)
			}
			if test.status == verify.Failed && report.Diagnosis != got.Detail {
				t.Errorf("diagnosis %q", report.Diagnosis)
			}
		})
	}
}
