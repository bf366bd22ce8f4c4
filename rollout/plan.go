package rollout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/state"
	"github.com/tbctl/tbctl/vfs"
)

const planMode vfs.Mode = 0o644

// PlanFileError says that a plan's file cannot be read.
type PlanFileError struct {
	Name string
	Err  error
}

func (e *PlanFileError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *PlanFileError) Unwrap() error { return e.Err }

// Class is [fault.Usage].
func (e *PlanFileError) Class() fault.Class { return fault.Usage }

// ReadPlan reads a plan's file. With the plan goes its id. The error is a [*PlanFileError], or wraps [fleet.ErrPlan].
func ReadPlan(name string) (*fleet.Plan, string, error) {
	file, _, err := vfs.OpenFile(name, nil)
	var text []byte
	if err == nil {
		defer file.Close()
		text, err = io.ReadAll(io.LimitReader(file, fleet.PlanSizeMax+1))
	}
	if err != nil {
		return nil, "", &PlanFileError{name, err}
	}
	plan, id, err := fleet.ParsePlan(text)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	return plan, id, nil
}

// WritePlan writes a plan's file, and returns its id. With force it replaces another file.
func WritePlan(name string, plan *fleet.Plan, force bool) (string, error) {
	text, err := plan.Encode()
	if err != nil {
		return "", err
	}
	return fleet.PlanID(text), durable.WriteFile(vfs.OS(), name, planMode, force, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(text))
		return err
	})
}

// NotStoredError says that the artifact of a plan is not in the store of this machine.
type NotStoredError struct {
	Source string // where it was from when the plan was made
	Err    error
}

func (e *NotStoredError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *NotStoredError) Unwrap() error { return e.Err }

// OpenPlanned is [OpenArtifact] of a plan's artifact. Where the store does not have it, the error is a [*NotStoredError]. A plan may be somebody
// else's: where it says of the file what that does not, the error is [fleet.ErrArtifact], and where the signature that it carries does not hold,
// [ErrSignature].
func OpenPlanned(ctx context.Context, store *depot.Depot, plan *fleet.Plan, kept *delta.Kept) (*Artifact, error) {
	artifact, facts, err := OpenArtifact(ctx, store, sha.Digits(plan.Artifact.SHA256), kept)
	if errors.Is(err, fs.ErrNotExist) {
		source := plan.Artifact.Source
		if source == "" {
			source = plan.Artifact.Release.String()
		}
		return nil, &NotStoredError{source, err}
	}
	if err != nil {
		return nil, err
	}
	if err = plan.Artifact.Matches(&facts); err == nil {
		artifact.Evidence, err = evidenceOf(ctx, store, &plan.Artifact)
	}
	for _, e := range artifact.Evidence {
		if err == nil && e.Status == release.StatusFailed {
			err = fmt.Errorf("%w: signature: %s", ErrSignature, e.Detail)
		}
	}
	if err != nil {
		return nil, errors.Join(err, artifact.Close())
	}
	return artifact, nil
}

// ErrSignature says that a plan carries a signature that is not one of its artifact.
var ErrSignature = fault.New(fault.Rejected, "the plan carries a signature that does not hold over its artifact")

// Planning says what a plan is made of.
type Planning struct {
	List     *fleet.Inventory
	Hosts    func(name string) Host // the same name is the same host
	Artifact *Artifact
	Facts    fleet.Artifact // of the artifact
	Shared   state.Store    // where plans are numbered
	Options  fleet.DraftOptions

	Show func(doing string) // is told what is done from now on
}

// NewPlan looks at all hosts of the list, and drafts the plan that brings them the artifact. Nothing is changed on them. Without a plan
// there are the problems why; unmeasured is why what is to be sent is an estimate.
func NewPlan(ctx context.Context, p Planning) (result *report.FleetPlan, unmeasured, err error) {
	var places []Place
	for _, cluster := range p.List.Clusters {
		for _, host := range cluster.Hosts {
			places = append(places, Place{Host: host.Name, Target: host.Target})
		}
	}
	p.Show("looking at the hosts")
	observations := Collect(ctx, p.Hosts, places, &p.Facts, ParallelDefault)
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	result = &report.FleetPlan{Pushed: []report.PushedTbctl{}}
	result.Plan, result.Problems, err = Number(ctx, p.Shared, func(above uint64) (*fleet.Plan, []fleet.Problem) {
		p.Options.Above = above
		return fleet.Draft(*p.List, observations, p.Facts, p.Options)
	})
	if err != nil || result.Plan == nil {
		return result, nil, err
	}
	p.Show("measuring what each host lacks")
	unmeasured = Measure(ctx, p.Hosts, result.Plan, p.Artifact, ParallelDefault)
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	for index := range result.Plan.Clusters {
		for _, host := range result.Plan.Clusters[index].Hosts {
			result.Send += host.Lacks
		}
	}
	return result, unmeasured, nil
}

// ObstaclesError says how many problems there are, of which each is told by itself.
type ObstaclesError struct {
	What  string // they lead to
	Count int
	Worst fault.Class
}

func (e *ObstaclesError) Error() string {
	if e.Count == 1 {
		return e.What + ": one obstacle"
	}
	return fmt.Sprintf("%s: %d obstacles", e.What, e.Count)
}

// Class is that of the worst.
func (e *ObstaclesError) Class() fault.Class { return e.Worst }

// Obstacles is the [*ObstaclesError] of problems; nil where they are notes alone.
func Obstacles(what string, problems []fleet.Problem) error {
	found := &ObstaclesError{What: what}
	for index := range problems {
		if class := problems[index].Class(); class != fault.None {
			found.Worst, found.Count = fault.Worst(found.Worst, class), found.Count+1
		}
	}
	if found.Count == 0 {
		return nil
	}
	return found
}
