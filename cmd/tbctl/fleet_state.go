package main

import (
	"cmp"
	"path/filepath"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/inventory"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/rollout"
	"github.com/tbctl/tbctl/state"
	"github.com/tbctl/tbctl/vfs"
)

// fleetFlags say which hosts there are, and how they are reached.
type fleetFlags struct {
	Fleet string `placeholder:"FILE" env:"TBCTL_FLEET" type:"path" help:"The list of hosts and clusters (fleet.toml here, or ~/.config/tbctl/fleet.toml)."`
	State string `more:"" placeholder:"WHERE" env:"TBCTL_FLEET_STATE" help:"Where controllers see each other and number their plans: files, in the state directory, or etcd://HOST:PORT,…/PREFIX by way of tbctl-engines (what the list says, or files)."`
}

// sharedState is what controllers share: where the flag, or the list of hosts, says.
func (a *app) sharedState(flags fleetFlags, list *fleet.Inventory) (state.Store, error) {
	return engine.OpenShared(a.ctx, cmp.Or(flags.State, list.State, engine.StateFiles), filepath.Join(a.stateDir(), "fleet"))
}

// rollouts is the journal of the rollouts of this machine and user.
func (a *app) rollouts() *rollout.Journal {
	return &rollout.Journal{FS: vfs.OS(), Dir: a.stateDir()}
}

// dialer reaches hosts as the list of hosts says it; without a list as ssh does by itself.
func (a *app) dialer(flags fleetFlags) (*remote.Dialer, *fleet.Inventory, error) {
	_, list, err := inventory.Load(flags.Fleet, a.getenv)
	if err != nil {
		return nil, nil, err
	}
	if list == nil {
		list = &fleet.Inventory{}
	}
	return dialerOf(list), list, nil
}

func dialerOf(list *fleet.Inventory) *remote.Dialer {
	return &remote.Dialer{SSH: list.SSH, Become: list.Become}
}

// asking asks hosts what they show.
func asking(list *fleet.Inventory) *rollout.Asking {
	return &rollout.Asking{Dialer: dialerOf(list), Hint: func(failed *remote.SessionError) string { return hints.Session(failed, list.SSH) }}
}

// inventory is the list that holds the named clusters or hosts; without names all of it.
func (a *app) inventory(flags fleetFlags, names []string) (*fleet.Inventory, error) {
	name, list, err := inventory.Load(flags.Fleet, a.getenv)
	switch {
	case err != nil:
		return nil, err
	case len(names) == 0 && list == nil:
		return nil, usage("tbctl "+a.command+" HOST…, or write fleet.toml", "no hosts are named, and there is no fleet.toml")
	case len(names) == 0 && len(list.Clusters) == 0:
		return nil, usage(`write one: [[cluster]], then name = "ledger" and hosts = ["tb0", "tb1"] on lines of their own; or name hosts: tbctl fleet status HOST…`, "%s has no cluster", name)
	case len(names) == 0:
		return list, nil
	case list == nil:
		list = &fleet.Inventory{}
	}
	chosen, err := inventory.Choose(list, names)
	if err != nil {
		return nil, usage("tbctl "+a.command+" --help", "%w", err)
	}
	return chosen, nil
}
