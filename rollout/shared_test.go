package rollout

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/state"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestNumber holds that each plan has a number of its own, also where another one takes it first, that what hosts alone
// have seen is not kept, and that what is no number is told.
func TestNumber(t *testing.T) {
	t.Parallel()
	store := state.OpenFiles(memfs.New(memfs.Options{}), "/state")
	taken, lead := false, uint64(0)
	draft := func(above uint64) (*fleet.Plan, []fleet.Problem) {
		if !taken { // another controller is quicker
			taken = true
			if _, err := store.Swap(t.Context(), keyGeneration, []byte("7"), 0); err != nil {
				t.Fatal(err)
			}
		}
		return &fleet.Plan{Generation: above + lead + 1}, nil
	}
	for _, want := range []uint64{8, 9} {
		plan, _, err := Number(t.Context(), store, draft)
		if err != nil || plan.Generation != want {
			t.Errorf("%+v, %v, want generation %d", plan, err, want)
		}
	}
	lead = 1000 // which hosts have seen
	if plan, _, err := Number(t.Context(), store, draft); err != nil || plan.Generation != 1010 {
		t.Errorf("%+v, %v, want a generation above that of the hosts", plan, err)
	}
	none := func(uint64) (*fleet.Plan, []fleet.Problem) { return nil, []fleet.Problem{{}} }
	if plan, problems, err := Number(t.Context(), store, none); plan != nil || len(problems) != 1 || err != nil {
		t.Errorf("no plan: %v, %v, %v", plan, problems, err)
	}
	value, revision, err := store.Get(t.Context(), keyGeneration)
	if err != nil || string(value) != "10" {
		t.Errorf("not the number of plans, 10: %q, %v", value, err)
	}
	for _, text := range []string{"", "x", "-1", "2147483648", "99999999999999999999"} {
		if revision, err = store.Swap(t.Context(), keyGeneration, []byte(text), revision); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Number(t.Context(), store, draft); !errors.Is(err, errGeneration) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestNumbered holds that no run of a plan begins that cannot have been numbered here, and that one which changes no file goes on, with a
// warning, where the number cannot be read.
func TestNumbered(t *testing.T) {
	t.Parallel()
	store := state.OpenFiles(memfs.New(memfs.Options{}), "/state")
	revision, err := store.Swap(t.Context(), keyGeneration, []byte("7"), 0)
	if err != nil {
		t.Fatal(err)
	}
	run := func(goal fleet.Goal, generation uint64) (warned int, err error) {
		_, err = Run(t.Context(), Options{Plan: &fleet.Plan{Generation: generation}, ID: "sha256:p", Goal: goal, Shared: store, Warn: func(error) { warned++ }})
		return warned, err
	}
	goals := []fleet.Goal{fleet.GoalCheck, fleet.GoalArm, fleet.GoalPromote, fleet.GoalAbort, fleet.GoalStop}
	for _, goal := range goals {
		var failed *fleet.NumberError
		if _, err := run(goal, fleet.GenerationMax); !errors.As(err, &failed) || failed.Plans != 7 || fault.Of(err) != fault.Refused {
			t.Errorf("%s: %v", goal, err)
		}
		if warned, err := run(goal, 8); err != nil || warned != 0 {
			t.Errorf("%s: %v, %d warnings", goal, err, warned)
		}
	}
	if _, err := store.Swap(t.Context(), keyGeneration, []byte("x"), revision); err != nil {
		t.Fatal(err)
	}
	for _, goal := range goals {
		if warned, err := run(goal, 8); goal.Swaps() != errors.Is(err, errGeneration) || goal.Swaps() == (warned == 1) {
			t.Errorf("%s: %v, %d warnings", goal, err, warned)
		}
	}
}

// TestHold holds that two runs of one cluster see each other, and that a run ends when what it holds is lost.
func TestHold(t *testing.T) {
	t.Parallel()
	m := memfs.New(memfs.Options{})
	open := func() *state.Files { return state.OpenFiles(m, "/state") }
	one, other := open(), open()
	plan := &fleet.Plan{Clusters: []fleet.PlannedCluster{{Name: "eu", ID: "0A"}, {Name: "us", ID: "0B"}}}
	ctx, others, end, err := Hold(t.Context(), one, plan, []string{"us"}, "ann@a", false)
	if err != nil || len(others) != 0 {
		t.Fatalf("%v, %v", others, err)
	}
	holders, err := Holders(t.Context(), other)
	if err != nil || len(holders) != 1 || holders[0].Cluster != "0b" || holders[0].Who != "ann@a" {
		t.Errorf("%+v, %v", holders, err)
	}
	var held *state.HeldError
	if _, _, _, err := Hold(t.Context(), other, plan, nil, "bob@b", false); !errors.As(err, &held) || fault.Of(err) != fault.Fenced {
		t.Errorf("%v", err)
	}
	if holders, _ := Holders(t.Context(), other); len(holders) != 1 {
		t.Errorf("who was refused holds something: %+v", holders)
	}
	_, others, endOther, err := Hold(t.Context(), other, plan, nil, "bob@b", true)
	if err != nil || len(others) != 1 || others[0].Who != "ann@a" {
		t.Errorf("take over: %+v, %v", others, err)
	}
	endOther()
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	var lost *state.LostError
	if err := context.Cause(ctx); !errors.As(err, &lost) || fault.Of(err) != fault.Fenced || !strings.HasPrefix(err.Error(), "cluster us is not held any more: ") {
		t.Errorf("%v", err)
	}
	end()
	ctx, _, end, err = Hold(t.Context(), open(), plan, nil, "ann@a", false)
	if err != nil {
		t.Fatal(err)
	}
	end()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if holders, err := Holders(t.Context(), other); err != nil || len(holders) != 0 {
		t.Errorf("%+v, %v", holders, err)
	}
}
