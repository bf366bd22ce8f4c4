package rollout

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/state"
)

const (
	keyGeneration = "generation" // how many plans have been numbered: never what hosts alone said
	keyClusters   = "clusters/"  // and the id of one that is held

	numberTriesMax = 100 // times that another plan takes a number first
)

// errGeneration says that what the state has is no generation.
var errGeneration = fault.New(fault.Failed, "the number of plans in the state of the controllers is not a number")

// Number makes a plan with a generation above the number of plans that the state has, and counts it there. Where its hosts have seen a higher
// one the plan's is higher still, and that goes with the plan and its hosts alone. draft is asked for a plan with a higher generation than it
// is given, maybe several times.
func Number(ctx context.Context, store state.Store, draft func(above uint64) (*fleet.Plan, []fleet.Problem)) (*fleet.Plan, []fleet.Problem, error) {
	for range numberTriesMax {
		above, revision, err := plans(ctx, store)
		if err != nil {
			return nil, nil, err
		}
		plan, problems := draft(above)
		if plan == nil {
			return nil, problems, nil
		}
		_, err = store.Swap(ctx, keyGeneration, strconv.AppendUint(nil, above+1, 10), revision)
		if err == nil || !errors.Is(err, state.ErrStale) {
			return plan, problems, err
		}
	}
	return nil, nil, fmt.Errorf("number the plan: %w", state.ErrStale)
}

// plans is how many plans have been numbered.
func plans(ctx context.Context, store state.Store) (count uint64, revision int64, err error) {
	text, revision, err := store.Get(ctx, keyGeneration)
	if err != nil || revision == 0 {
		return 0, revision, err
	}
	count, err = strconv.ParseUint(string(text), 10, 64)
	if err != nil || count > fleet.GenerationMax {
		return 0, revision, fmt.Errorf("%w: %.40q", errGeneration, text)
	}
	return count, revision, nil
}

// numbered refuses a plan with a generation that was not given here: with it hosts would refuse those that are. Where that cannot be compared,
// a run that changes files is refused too, and of another the warning says so.
func (o *Options) numbered(ctx context.Context) (warning, err error) {
	if o.Shared == nil {
		return nil, nil
	}
	count, _, err := plans(ctx, o.Shared)
	switch {
	case err == nil:
		return nil, o.Plan.Numbered(count)
	case o.Goal.Swaps() || ctx.Err() != nil:
		return nil, err
	}
	return fmt.Errorf("whether the plan's generation, %d, was given here is not known: %w", o.Plan.Generation, err), nil
}

// Hold holds the clusters of a plan, those of these names or all, so that who works on one of them sees it before
// a host refuses it. With it goes a context that ends with a [*state.LostError] when one is not held any more. With takeOver what another run
// holds is left to it, and returned. End gives all back.
func Hold(ctx context.Context, store state.Store, plan *fleet.Plan, names []string, who string, takeOver bool) (_ context.Context, others []state.Holder, end func(), err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var holds []*state.Hold
	end = func() {
		for _, hold := range holds {
			_ = hold.Release(context.WithoutCancel(ctx)) // what cannot be given back ends with the process
		}
		cancel(nil)
	}
	for index := range plan.Clusters {
		cluster := &plan.Clusters[index]
		if len(names) > 0 && !slices.Contains(names, cluster.Name) {
			continue
		}
		hold, err := store.Hold(ctx, keyClusters+strings.ToLower(cluster.ID), who)
		if held, is := errors.AsType[*state.HeldError](err); is && takeOver {
			others = append(others, held.Holder)
			continue
		}
		if err != nil {
			end()
			return nil, nil, nil, fmt.Errorf("cluster %s: %w", cluster.Name, err)
		}
		holds = append(holds, hold)
		go func() {
			select {
			case <-hold.Lost():
				err := hold.Err()
				if lost, is := errors.AsType[*state.LostError](err); is {
					err = &state.LostError{Key: "cluster " + cluster.Name, Err: lost.Err}
				}
				cancel(err)
			case <-ctx.Done():
			}
		}()
	}
	return ctx, others, end, nil
}

// NewHolder is a new run by this user and machine, with its secret.
func NewHolder(who string) (fleet.Holder, fleet.Secret) {
	var secret fleet.Secret
	_, _ = rand.Read(secret[:]) // never fails
	return fleet.Holder{ID: secret.ID(), Who: who, Since: time.Now().UTC().Truncate(time.Second)}, secret
}

// Holders are the runs that hold clusters.
func Holders(ctx context.Context, store state.Store) ([]report.FleetHolder, error) {
	held, err := store.Holders(ctx, keyClusters)
	if err != nil {
		return nil, err
	}
	holders := make([]report.FleetHolder, len(held))
	for index, each := range held {
		holders[index] = report.FleetHolder{Cluster: strings.TrimPrefix(each.Key, keyClusters), Who: each.Who, Since: each.Since, Unseen: each.Unseen}
	}
	return holders, nil
}
