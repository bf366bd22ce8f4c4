package rollout_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/rollout"
	"github.com/tbctl/tbctl/state"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// A run whose goal may swap a file changes nothing while another run holds a cluster; the others do not look at who holds it.
func TestRunHeld(t *testing.T) {
	t.Parallel()
	for goal, holds := range map[fleet.Goal]bool{
		fleet.GoalStage: false, fleet.GoalCheck: false, fleet.GoalStop: false,
		fleet.GoalArm: true, fleet.GoalProve: true, fleet.GoalPromote: true, fleet.GoalAbort: true,
	} {
		synctest.Test(t, func(t *testing.T) {
			f := simClusters(1, 3)
			plan := f.plan(t)
			files := memfs.New(memfs.Options{})
			_, _, end, err := rollout.Hold(t.Context(), state.OpenFiles(files, "/state"), plan, nil, "bob@bastion", false)
			if err != nil {
				t.Fatal(err)
			}
			defer end()
			options := f.options(plan, goal, "ana")
			options.Run, options.Shared = true, state.OpenFiles(files, "/state")
			result, err := rollout.Run(t.Context(), options)
			held, is := errors.AsType[*state.HeldError](err)
			if is != holds || is && (held.Holder.Who != "bob@bastion" || result != nil || f.swapped() > 0) {
				t.Errorf("%s: %+v, %v, %d hosts have the file", goal, result, err, f.swapped())
			}
			var others []state.Holder
			options.Rules.TakeOver, options.Others = true, func(other state.Holder) { others = append(others, other) }
			result, err = rollout.Run(t.Context(), options)
			if _, is := errors.AsType[*state.HeldError](err); is || result == nil || (len(others) == 1) != holds {
				t.Errorf("%s, taken over: %+v, %v, from %+v", goal, result, err, others)
			}
		})
	}
}

// A plan's file is read as it was written, under the same id, and what is no plan is told with its name.
func TestPlanFile(t *testing.T) {
	t.Parallel()
	plan := simClusters(1, 3).plan(t)
	name := filepath.Join(t.TempDir(), "plan.json")
	var unread *rollout.PlanFileError
	if _, _, err := rollout.ReadPlan(name); !errors.As(err, &unread) || unread.Name != name || fault.Of(err) != fault.Usage || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not there: %v", err)
	}
	id, err := rollout.WritePlan(name, plan, false)
	if err != nil {
		t.Fatal(err)
	}
	if read, again, err := rollout.ReadPlan(name); err != nil || again != id || len(read.Clusters) != 1 {
		t.Errorf("%+v, %s, %v, want %s", read, again, err, id)
	}
	if _, err := rollout.WritePlan(name, plan, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("again: %v", err)
	}
	if err := os.WriteFile(name, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := rollout.ReadPlan(name); !errors.Is(err, fleet.ErrPlan) || fault.Of(err) != fault.Usage {
		t.Errorf("no plan: %v", err)
	}
}
