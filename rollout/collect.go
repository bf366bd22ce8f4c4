package rollout

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/sha"
)

const (
	// ParallelDefault is how many hosts are looked at, or changed, at the same time.
	ParallelDefault = 8
	// LookLimit is how long a look at a host may take. One that takes longer is a host that does not answer.
	LookLimit = 30 * time.Second
)

// Place is a target that is to be looked at.
type Place struct {
	Host   string
	Target string // "": all that the host's configuration names
}

// Collect looks at places, each host once and for [LookLimit] at most. A place that could not be looked at is an
// observation with a problem. The observations are in the order of the places, and say what is seen to speak against the artifact.
func Collect(ctx context.Context, hosts func(name string) Host, places []Place, artifact *fleet.Artifact, parallel int) []fleet.Observation {
	var names []string
	for _, place := range places {
		if !slices.Contains(names, place.Host) {
			names = append(names, place.Host)
		}
	}
	shown := make([]look, len(names))
	each(parallel, len(names), func(index int) {
		shown[index] = lookAt(ctx, hosts(names[index]), sha.Digits(artifact.SHA256))
	})
	var observations []fleet.Observation
	for _, place := range places {
		seen := &shown[slices.Index(names, place.Host)]
		for _, o := range seen.at(place) {
			o.Refusals = refusals(&o, artifact, seen.receipts)
			observations = append(observations, o)
		}
	}
	return observations
}

// Measure asks the hosts of a plan what they lack of its artifact, and puts that in place of the plan's estimates. Where a host does not say,
// its estimate stays, and the error is the first of these.
func Measure(ctx context.Context, hosts func(name string) Host, plan *fleet.Plan, artifact *Artifact, parallel int) error {
	var planned []*fleet.PlannedHost
	for c := range plan.Clusters {
		for h := range plan.Clusters[c].Hosts {
			planned = append(planned, &plan.Clusters[c].Hosts[h])
		}
	}
	failed := make([]error, len(planned))
	each(parallel, len(planned), func(index int) {
		size, err := hosts(planned[index].Name).Lacks(ctx, planned[index].Target, artifact)
		if failed[index] = err; err == nil {
			planned[index].Lacks = size
		}
	})
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// look is what came of asking a host.
type look struct {
	shown  []fleet.Observation
	stored bool // an artifact that was asked for is in its store
	// receipts are those of that artifact there.
	receipts []depot.Receipt
	err      error
	took     time.Duration
}

// lookAt asks a host, for a limited time, and whether an artifact is in its store; "": none is asked for.
func lookAt(ctx context.Context, host Host, artifact string) look {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, LookLimit, fault.New(fault.Failed, fmt.Sprintf("it did not answer within %v", LookLimit)))
	defer cancel()
	shown, err := host.Observe(ctx)
	stored, receipts := false, []depot.Receipt{}
	if err == nil && artifact != "" {
		var artifacts []depot.Artifact
		artifacts, err = host.Store(ctx)
		if at := slices.IndexFunc(artifacts, func(a depot.Artifact) bool { return a.SHA256 == artifact }); at >= 0 {
			stored, receipts = true, artifacts[at].Believed()
		}
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return look{shown, stored, receipts, err, time.Since(began)}
}

// at is what a look showed of a place.
func (l look) at(place Place) []fleet.Observation {
	if l.err != nil {
		return []fleet.Observation{Unseen(place.Host, place.Target, l.err)}
	}
	if place.Target == "" && len(l.shown) > 0 {
		return l.shown
	}
	for index := range l.shown {
		if l.shown[index].Target == place.Target {
			return l.shown[index : index+1]
		}
	}
	return []fleet.Observation{NotNamed(place.Host, place.Target, l.shown)}
}

// each calls do for the numbers below count, that many at the same time at most, and returns when all have returned.
func each(parallel, count int, do func(index int)) {
	var all sync.WaitGroup
	turn := make(chan struct{}, max(1, parallel))
	for index := range count {
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			do(index)
		})
	}
	all.Wait()
}
