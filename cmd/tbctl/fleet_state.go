package main

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/rollout"
	"github.com/tbctl/tbctl/state"
	"github.com/tbctl/tbctl/vfs"
)

// stateFiles is the state of the controllers of this machine.
const stateFiles = "files"

// sharedState is what controllers share: where the flag, or the list of hosts, says.
func (a *app) sharedState(flags fleetFlags, list *fleet.Inventory) (state.Store, error) {
	switch where := cmp.Or(flags.State, list.State, stateFiles); {
	case where == stateFiles:
		dir, err := filepath.Abs(filepath.Join(a.stateDir(), "fleet"))
		if err != nil {
			return nil, err
		}
		return state.OpenFiles(vfs.OS(), dir), nil
	case strings.HasPrefix(where, "etcd://"):
		started, err := a.startEngine()
		if err != nil {
			return nil, err
		}
		return started.OpenState(a.ctx, where)
	default:
		return nil, usage("in etcd: --state etcd://HOST:2379,HOST:2379/tbctl; of this machine alone: --state files", "the state of the controllers is to be %q, which is neither files nor in etcd", where)
	}
}

// startEngine starts tbctl-engines.
func (a *app) startEngine() (*engine.Engine, error) {
	path, err := engine.Find()
	if err != nil {
		return nil, err
	}
	return engine.Start(a.ctx, path)
}

// hold holds what a plan changes, and returns the context of the run and what ends it.
func (a *app) hold(flags rolloutFlags, list *fleet.Inventory, plan *fleet.Plan, clusters []string) (context.Context, func(), error) {
	shared, err := a.sharedState(flags.Fleet, list)
	if err != nil {
		return nil, nil, err
	}
	ctx, others, end, err := rollout.Hold(a.ctx, shared, plan, clusters, whoAmI(), flags.TakeOver)
	if err != nil {
		_ = shared.Close() // it has nothing open
		if held, is := errors.AsType[*state.HeldError](err); is {
			return nil, nil, &hints.Error{Of: held.Class(), Hint: "see who works on what: tbctl fleet status; to take the hosts over from another run, on purpose: --take-over", Err: err}
		}
		return nil, nil, err
	}
	for _, other := range others {
		a.warn("%v: its hosts are taken over", &state.HeldError{Holder: other})
	}
	return ctx, func() {
		end()
		_ = shared.Close() // what cannot be given back ends with this process
	}, nil
}
