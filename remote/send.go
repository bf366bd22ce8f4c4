package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/current"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/multiversion"
)

// seedTriesMax is how often an artifact is sent again without an executable that a host found damaged, before it is sent
// whole.
const seedTriesMax = 4

// How an artifact was sent.
type How string

// The ways.
const (
	HowDelta How = "delta" // what the host lacked
	HowWhole How = "whole" // all of it, compressed
)

// Sent says what it took to send an artifact to a host.
type Sent struct {
	Artifact depot.Artifact `json:"artifact"` // as the host has it now

	Size    int64          `json:"size"`     // of the artifact, in bytes
	Sent    int64          `json:"sent"`     // bytes that went over the wire, those of tries in vain included
	There   int64          `json:"there"`    // bytes of the artifact that the host had
	How     How            `json:"how"`      // the try that brought it there
	LeftOut []host.LeftOut `json:"left_out"` // what the host has and could not take it from
}

// A Receiver is what an artifact is sent to. [Session] is one.
type Receiver interface {
	Held(ctx context.Context, target string) (HeldAnswer, error)
	PutDelta(ctx context.Context, target, digest string, body []byte) (DeltaAnswer, error)
}

// A Shipment is an artifact on its way to hosts. What is made for one of them is kept for the others that have the same.
// Many goroutines may use it at once.
type Shipment struct {
	digest string
	file   *delta.File
	press  delta.Press
}

// Ship prepares an artifact of this SHA-256, which is in a file that stays open. Nothing is compared: the hosts do. Kept is where
// deltas are kept for another run; nil: nowhere.
func Ship(digest string, file current.Source, kept *delta.Kept) (*Shipment, error) {
	if err := sha.Check(digest); err != nil {
		return nil, err
	}
	if size := file.Size(); size <= 0 || size > multiversion.SizeMax {
		return nil, fault.New(fault.Rejected, fmt.Sprintf("an artifact of %d bytes", size))
	}
	return &Shipment{digest: digest, file: delta.NewFile(digest, file), press: delta.Press{Kept: kept}}, nil
}

// Send sends the artifact to a host, as far as it lacks it, and returns when it is durable there, or with the context. An executable
// that the host finds damaged is left out in the next try, and in the last one nothing of the host's is used.
func (s *Shipment) Send(ctx context.Context, to Receiver, target string) (Sent, error) {
	sent := Sent{Size: s.file.Size(), LeftOut: []host.LeftOut{}}
	answer, err := to.Held(ctx, target)
	if err != nil {
		return sent, err
	}
	sent.LeftOut = append(sent.LeftOut, answer.LeftOut...)
	has := answer.Executables
	for try := 0; ; try++ {
		err = s.try(ctx, to, target, has, &sent)
		var seed *delta.SeedError
		switch {
		case err == nil, len(has) == 0, errors.Is(err, delta.ErrChanged):
			return sent, err
		case errors.As(err, &seed) && try < seedTriesMax:
			before := len(has)
			has = slices.DeleteFunc(slices.Clone(has), func(each host.HeldExecutable) bool { return each.Checksum == seed.Checksum })
			if len(has) == before {
				has = nil // one that was not asked for
			}
		case errors.As(err, &seed), fault.Of(err) == fault.Rejected:
			has = nil
		default:
			return sent, err
		}
		sent.LeftOut = append(sent.LeftOut, host.LeftOut{Path: s.whose(answer, seed), Why: err.Error()})
	}
}

// Lacks is how many bytes [Shipment.Send] would send to a host as it is now. What is made for it is kept for that.
func (s *Shipment) Lacks(ctx context.Context, to Receiver, target string) (int64, error) {
	answer, err := to.Held(ctx, target)
	if err != nil {
		return 0, err
	}
	body, err := s.press.Make(ctx, s.file, s.head(answer.Executables))
	return int64(len(body)), err
}

// whose is the file of a host that holds an executable; "" where it is not known.
func (s *Shipment) whose(answer HeldAnswer, seed *delta.SeedError) string {
	for _, each := range answer.Executables {
		if seed != nil && each.Checksum == seed.Checksum {
			return each.Path
		}
	}
	return ""
}

// try sends the artifact once, to a host that has these executables.
func (s *Shipment) try(ctx context.Context, to Receiver, target string, has []host.HeldExecutable, sent *Sent) error {
	head := s.head(has)
	body, err := s.press.Make(ctx, s.file, head)
	if err != nil {
		return err
	}
	answer, err := to.PutDelta(ctx, target, s.digest, body)
	sent.Sent += int64(len(body))
	if err != nil {
		return err
	}
	if answer.Artifact.SHA256 != s.digest || answer.Artifact.Size != s.file.Size() {
		return fmt.Errorf("the host says that it stored %.64q of %d bytes, not %s", answer.Artifact.SHA256, answer.Artifact.Size, s.digest)
	}
	_, lacking := head.Recipe.Lacking()
	sent.Artifact, sent.There, sent.How = answer.Artifact, s.file.Size()-lacking, HowDelta
	if head.Whole() {
		sent.How = HowWhole
	}
	return nil
}

// head is how a host that has these executables puts the artifact together.
func (s *Shipment) head(has []host.HeldExecutable) delta.Head {
	sizes := make(map[multiversion.Checksum]int64)
	for _, each := range has {
		sizes[each.Checksum] = each.Size
	}
	return s.file.For(func(checksum multiversion.Checksum) bool { return sizes[checksum] == s.file.Of(checksum).Size() })
}
