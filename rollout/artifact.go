package rollout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/verify"
)

// Artifact is the file that a rollout brings, in the store of this machine.
type Artifact struct {
	SHA256 string // in hexadecimal digits
	Size   int64  // in bytes

	// Evidence is who vouches for it, by what the store knows, and of that of a plan what the plan alone says.
	Evidence []report.PlanEvidence

	file     io.Closer
	shipment *remote.Shipment
}

// Close closes the file.
func (a *Artifact) Close() error { return a.file.Close() }

// ErrArtifact says that what is in the store is not a binary that may be brought anywhere.
var ErrArtifact = fault.New(fault.Rejected, "the artifact in the store of this machine is no good")

// OpenArtifact opens an artifact of a store, reads and verifies all of it, and says what a plan has of it. What is made to be sent
// is kept for another run; nil: nowhere. The caller closes it.
func OpenArtifact(ctx context.Context, store *depot.Depot, digest string, kept *delta.Kept) (*Artifact, fleet.Artifact, error) {
	artifact, facts, err := openArtifact(ctx, store, digest, kept)
	if err != nil {
		return nil, fleet.Artifact{}, fmt.Errorf("artifact sha256:%s: %w", digest, err)
	}
	return artifact, facts, nil
}

func openArtifact(ctx context.Context, store *depot.Depot, digest string, kept *delta.Kept) (_ *Artifact, facts fleet.Artifact, err error) {
	file, err := store.Open(digest)
	if err != nil {
		return nil, facts, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	if facts, err = factsOf(ctx, file, digest); err != nil {
		return nil, facts, err
	}
	evidence, err := vouch(ctx, store, &facts)
	if err != nil {
		return nil, facts, err
	}
	shipment, err := remote.Ship(digest, file, kept)
	if err != nil {
		return nil, facts, err
	}
	return &Artifact{SHA256: digest, Size: file.Size(), Evidence: evidence, file: file, shipment: shipment}, facts, nil
}

// factsOf verifies an artifact, and says what it is.
func factsOf(ctx context.Context, file *depot.File, digest string) (fleet.Artifact, error) {
	report, err := verify.File(ctx, file, file.Size(), verify.Options{SHA256: true})
	switch {
	case err != nil:
		return fleet.Artifact{}, err
	case report.SHA256 != digest:
		return fleet.Artifact{}, fmt.Errorf("%w: %w: %s", ErrArtifact, depot.ErrDigest, report.SHA256)
	case !report.Ok:
		return fleet.Artifact{}, fmt.Errorf("%w: %s", ErrArtifact, report.Diagnosis)
	}
	binary := report.Binary
	return fleet.NewArtifact(sha.Name(digest), file.Size(), binary.Platform(), &binary.HostImage().Header), nil
}

// vouch notes who vouches for an artifact of the store, and where it came from: by its receipts, if nobody else can have written them. A
// signature is one that holds over the bytes now.
func vouch(ctx context.Context, store *depot.Depot, facts *fleet.Artifact) ([]report.PlanEvidence, error) {
	digest := sha.Digits(facts.SHA256)
	receipts, writers, err := store.Receipts(digest)
	if err == nil && writers.None() {
		for _, receipt := range receipts { // the oldest first
			facts.Source = receipt.Source
			if receipt.Signature != "" {
				facts.Signature, facts.SignedBy = receipt.Signature, receipt.By
			}
		}
	}
	evidence, err := evidenceOf(ctx, store, facts)
	if err == nil && status(evidence, string(release.EvidenceMinisign)) != release.StatusHeld {
		facts.Signature, facts.SignedBy = "", ""
	}
	for _, e := range evidence {
		if e.Status == release.StatusHeld && !slices.Contains(facts.Vouched, e.Kind) {
			facts.Vouched = append(facts.Vouched, e.Kind)
		}
	}
	return evidence, err
}

// evidenceOf says who vouches for an artifact by what a store knows, and of what a plan says besides that it was not checked. A signature that
// the plan carries is compared with the bytes.
func evidenceOf(ctx context.Context, store *depot.Depot, said *fleet.Artifact) ([]report.PlanEvidence, error) {
	found, err := shelf.Evidence(ctx, store, sha.Digits(said.SHA256), said.Signature, said.SignedBy)
	evidence := []report.PlanEvidence{}
	for _, e := range found {
		detail := e.Detail
		if e.Kind == release.EvidenceMinisign && e.Of == "asset" {
			detail = "a signature that came with the plan, by the key that it names: " + detail
		}
		if e.Status == release.StatusHeld || e.Status == release.StatusFailed {
			evidence = append(evidence, report.PlanEvidence{Kind: string(e.Kind), Status: e.Status, Detail: detail})
		}
	}
	why := "no receipt of the store " + store.Dir() + " says so"
	if err != nil {
		why = err.Error()
	}
	for _, kind := range said.Vouched {
		if slices.ContainsFunc(evidence, func(e report.PlanEvidence) bool { return e.Kind == kind }) {
			continue
		}
		doubt := why
		for _, e := range found {
			if string(e.Kind) == kind && e.Detail != "" {
				doubt = e.Detail
			}
		}
		evidence = append(evidence, report.PlanEvidence{Kind: kind, Status: release.StatusNotChecked, Detail: doubt})
	}
	return evidence, err
}

// status is what became of a kind of evidence; "": there is none.
func status(evidence []report.PlanEvidence, kind string) release.Status {
	var found release.Status
	for _, e := range evidence {
		if e.Kind == kind && found != release.StatusFailed {
			found = e.Status
		}
	}
	return found
}

// planEvidence is what this machine knows of a plan's artifact, where its store may not have it.
func planEvidence(ctx context.Context, store *depot.Depot, plan *fleet.Plan) []report.PlanEvidence {
	said := &plan.Artifact
	evidence, err := evidenceOf(ctx, store, said)
	of := report.PlanEvidence{Kind: report.EvidenceFile, Status: release.StatusHeld, Detail: "its releases, client minimums and checksum are what the plan says"}
	if err == nil {
		err = CheckPlanned(ctx, store, plan)
	}
	switch {
	case errors.Is(err, fleet.ErrArtifact), errors.Is(err, ErrArtifact):
		of.Status, of.Detail = release.StatusFailed, err.Error()
	case err != nil:
		of.Status, of.Detail = release.StatusNotChecked, err.Error()
	}
	return append([]report.PlanEvidence{of}, evidence...)
}

// CheckPlanned compares what a plan says of its artifact with the file in a store: the error is [fleet.ErrArtifact] where it says something
// else, and that of reading the file where that cannot be said.
func CheckPlanned(ctx context.Context, store *depot.Depot, plan *fleet.Plan) error {
	digest := sha.Digits(plan.Artifact.SHA256)
	file, err := store.Open(digest)
	if err != nil {
		return err
	}
	defer file.Close()
	facts, err := factsOf(ctx, file, digest)
	if err != nil {
		return err
	}
	return plan.Artifact.Matches(&facts)
}
