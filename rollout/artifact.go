package rollout

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/verify"
)

// Artifact is the file that a rollout brings, in the store of this machine.
type Artifact struct {
	SHA256 string // in hexadecimal digits
	Size   int64  // in bytes

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
	stored, err := store.Stat(digest)
	if err != nil {
		return nil, facts, err
	}
	file, err := store.Open(digest)
	if err != nil {
		return nil, facts, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	if facts, err = factsOf(ctx, file, stored); err != nil {
		return nil, facts, err
	}
	shipment, err := remote.Ship(digest, file, kept)
	if err != nil {
		return nil, facts, err
	}
	return &Artifact{SHA256: digest, Size: file.Size(), file: file, shipment: shipment}, facts, nil
}

// factsOf verifies an artifact, and says what it is.
func factsOf(ctx context.Context, file *depot.File, stored depot.Artifact) (fleet.Artifact, error) {
	report, err := verify.File(ctx, file, file.Size(), verify.Options{SHA256: true})
	switch {
	case err != nil:
		return fleet.Artifact{}, err
	case report.SHA256 != stored.SHA256:
		return fleet.Artifact{}, fmt.Errorf("%w: %w: %s", ErrArtifact, depot.ErrDigest, report.SHA256)
	case !report.Ok:
		return fleet.Artifact{}, fmt.Errorf("%w: %s", ErrArtifact, report.Diagnosis)
	}
	binary := report.Binary
	facts := fleet.NewArtifact("sha256:"+stored.SHA256, file.Size(), binary.Platform(), &binary.HostImage().Header)
	for _, receipt := range stored.Receipts { // the oldest first
		facts.Source = receipt.Source
		if receipt.Kind != depot.KindImport && !slices.Contains(facts.Vouched, receipt.Kind) {
			facts.Vouched = append(facts.Vouched, receipt.Kind)
		}
		if receipt.Signature != "" {
			facts.Signature, facts.SignedBy = receipt.Signature, receipt.By
		}
	}
	return facts, nil
}
