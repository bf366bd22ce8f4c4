package rollout

import (
	"context"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/remote"
)

// Host is one host, as a rollout sees it. Its methods may be called at the same time. Those that change something return nil only
// when it was done there; after any other answer than a host's own, what was done is not known and is to be looked at.
type Host interface {
	// Observe looks at all targets that the host's configuration names.
	Observe(ctx context.Context) ([]fleet.Observation, error)
	// Store says what is in its store.
	Store(ctx context.Context) ([]depot.Artifact, error)
	// Lacks is how many bytes of an artifact would have to be sent. Nothing is changed.
	Lacks(ctx context.Context, target string, artifact *Artifact) (int64, error)
	// Send brings an artifact into its store, for a target whose files have a part of it. Afterwards it is durable there, and
	// its bytes were hashed.
	Send(ctx context.Context, target string, artifact *Artifact) (Sent, error)
	// OpenDepot lets others read an artifact of its store until its session ends.
	OpenDepot(ctx context.Context, target, artifact string) (remote.DepotAnswer, error)
	// Copy lets it fetch an artifact from another's depot, or from a registry, as Send brings it. An error that unwraps to a [*remote.SourceError] is that
	// depot's.
	Copy(ctx context.Context, request remote.CopyRequest) (Sent, error)
	// Check lets it check an artifact of its store for a target. Nothing is changed. The error
	// is of class refused or rejected where the artifact does not fit there, or is no good. Unanswered are the questions that
	// nothing speaks against, and to which there is no answer there, with the reason.
	Check(ctx context.Context, request remote.CheckRequest) (unanswered []string, err error)
	// Claim claims a target, see [remote.Session.Claim].
	Claim(ctx context.Context, request remote.ClaimRequest) (fleet.Fence, error)
	// Advise brings it a list of what is to be known of releases, by which it warns besides its own.
	Advise(ctx context.Context, request remote.AdvisoriesRequest) error
	// Phase notes how far the rollout is with a target, or gives it back.
	Phase(ctx context.Context, request remote.PhaseRequest) error
	// Swap puts an artifact of its store at a target. Warnings are what the host says besides for an operator to know.
	Swap(ctx context.Context, request remote.SwapRequest) (warnings []string, err error)
	// Restart starts the replicas of a target again, by the host's own means. Warnings are what it left out, too.
	Restart(ctx context.Context, request remote.RestartRequest) (warnings []string, err error)
	// Close ends the session. What is claimed stays claimed.
	Close() error
}

// Sent says what it took to bring an artifact into a store.
type Sent struct {
	Bytes  int64  `json:"bytes"`  // that were sent from here
	Copied int64  `json:"copied"` // that came from another host, or a registry
	Had    int64  `json:"had"`    // of the artifact's bytes, that were there already
	From   string `json:"from"`   // the host or the registry from which they were copied; "": none was asked
}
