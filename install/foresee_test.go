package install_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestPlanForesees: after every crash a dry run says what the run itself then does, which first completes what was
// interrupted.
func TestPlanForesees(t *testing.T) {
	t.Parallel()
	b := files(t)
	next := func(release string) install.Request {
		r := request()
		r.Fit = verify.ReplaceOptions{Stopped: true, Needs: []verify.Need{{Release: testbin.Release(release), Why: verify.NeedData}}}
		return r
	}
	operations := map[string]func(ctx context.Context, in *install.Installer, dry bool) (*install.Outcome, error){
		"rollback": func(ctx context.Context, in *install.Installer, dry bool) (*install.Outcome, error) {
			if dry {
				return in.PlanRollback(ctx, next("0.17.8"))
			}
			return in.Rollback(ctx, next("0.17.8"))
		},
		"install": func(ctx context.Context, in *install.Installer, dry bool) (*install.Outcome, error) {
			if dry {
				return in.Plan(ctx, request(), fetchOf(b.next, nil))
			}
			return in.Install(ctx, request(), fetchOf(b.next, nil))
		},
	}
	before := scene{name: "upgrade", old: b.older, current: b.old, result: install.ResultInstalled, after: sight{"new", "old", nil}, stateMade: true,
		act: func(ctx context.Context, in *install.Installer) (*install.Outcome, error) {
			return in.Install(ctx, request(), fetchOf(b.new, nil))
		}}
	for system, options := range systems() {
		for name, operate := range operations {
			t.Run(system+"/"+name, func(t *testing.T) {
				t.Parallel()
				for number := range testbin.Sampled(t, before.operations(t, options)) {
					said := [2]string{}
					for real, dry := range []bool{true, false} {
						m := before.setUp(t, options)
						m.CrashAt(number + 1)
						_, _ = before.act(t.Context(), m.installer()) // it crashes
						m.Restart(memfs.All())
						outcome, err := operate(t.Context(), m.installer(), dry)
						said[real] = fmt.Sprint(err)
						if plan := outcome.Plan; plan != nil && plan.New != nil {
							said[real] += fmt.Sprintf(", %s of %s, with %s kept before", plan.Action, plan.New.SHA256, plan.Target.Old.Kind)
						}
					}
					if said[0] != said[1] {
						t.Errorf("after operation %d the plan is\n%s\nand the run does\n%s", number+1, said[0], said[1])
					}
				}
			})
		}
	}
}
