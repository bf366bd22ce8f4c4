package host_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/replica"
)

// TestIgnored: a process that is left out is one that is there and runs from the target, or that is said.
func TestIgnored(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	own, other := os.Getpid(), self+"-other"
	const none = 1 << 30 // more than the kernel's largest
	for _, test := range []struct {
		target string
		pids   []int
		want   []string
	}{
		{self, nil, nil},
		{self, []int{own}, []string{fmt.Sprintf("process %d is left out, as asked for", own)}},
		{self, []int{none, 0, -1}, []string{
			"there is no process 1073741824 that could be left out", "there is no process 0 that could be left out", "there is no process -1 that could be left out",
		}},
		{other, []int{own}, []string{fmt.Sprintf("process %d is left out, as asked for, but it does not run from %s: nothing changes by that", own, other)}},
	} {
		view, err := replica.Find(t.Context(), test.target, replica.Options{Only: []int{own}})
		if err == nil && len(view.Unseen) > 0 {
			t.Skipf("processes cannot all be seen here: %v", view.Unseen)
		}
		if got := host.Ignored(t.Context(), host.Query{Target: test.target, Ignore: test.pids}); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%v of %s: %q, %v", test.pids, test.target, got, err)
		}
	}
}
