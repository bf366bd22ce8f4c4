package rollout

import (
	"slices"
	"testing"

	"github.com/tbctl/tbctl/host"
)

// What a host says with a restart that was done reaches the operator: what went wrong besides, and whom it left out.
func TestRestartWarnings(t *testing.T) {
	t.Parallel()
	restarted := &host.Restarted{PIDs: []int{3}, Skipped: []string{"process 7 is not in a service", "and 2 more"}, Warnings: []string{"history: read-only file system"}}
	want := []string{"history: read-only file system", "not restarted: process 7 is not in a service", "not restarted: and 2 more"}
	if got := restartWarnings(restarted); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := restartWarnings(&host.Restarted{PIDs: []int{3}}); len(got) != 0 {
		t.Errorf("of one that left nothing out: %q", got)
	}
}
