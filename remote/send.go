package remote

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/current"
	"github.com/tbctl/tbctl/multiversion"
)

const (
	// seedTriesMax is how often an artifact is sent again without an executable that a host found damaged, before it is sent
	// whole.
	seedTriesMax = 4
	// madeMax is how many deltas of an artifact are held in memory.
	madeMax = 8
)

// How an artifact was sent.
type How string

// The ways.
const (
	HowDelta How = "delta" // what the host lacked
	HowWhole How = "whole" // all of it, compressed
)

// errOwn says that the sender's own file is damaged.
var errOwn = fault.New(fault.Rejected, "what is to be sent has changed since it was stored")

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
	digest      string
	file        current.Source
	recipe      delta.Recipe
	executables []host.HeldExecutable // the newest first
	held        delta.Held
	kept        *Kept

	mu   sync.Mutex
	made []*made // the one that was used last is the last

	compressing sync.Mutex // one at a time: each takes memory for several executables
}

// made is what is sent to the hosts that have the same executables.
type made struct {
	key  string
	once sync.Once
	body []byte
	err  error
}

// Ship prepares an artifact of this SHA-256, which is in a file that stays open. Nothing is compared: the hosts do. Kept is where
// deltas are kept for another run; nil: nowhere.
func Ship(digest string, file current.Source, kept *Kept) (*Shipment, error) {
	if !depot.IsDigest(digest) {
		return nil, fault.New(fault.Usage, fmt.Sprintf("%q is no SHA-256 in hexadecimal digits", digest))
	}
	if size := file.Size(); size <= 0 || size > multiversion.SizeMax {
		return nil, fault.New(fault.Rejected, fmt.Sprintf("an artifact of %d bytes", size))
	}
	s := &Shipment{digest: digest, file: file, held: delta.Held{}, kept: kept}
	s.recipe = delta.Recipe{Size: file.Size(), Segments: []delta.Segment{{Size: file.Size()}}}
	binary, err := multiversion.Parse(file, file.Size())
	if err != nil {
		return s, nil // it is sent whole, and whether it may be installed is said by the host
	}
	if recipe, err := delta.Of(binary); err == nil {
		s.recipe = recipe
	}
	s.held.Add(binary)
	for i := range binary.Images {
		header := &binary.Images[i].Header
		s.own(header.Current.Checksum, header.Current.Release)
		for _, past := range header.Past {
			s.own(past.Checksum, past.Release)
		}
	}
	slices.SortStableFunc(s.executables, func(x, y host.HeldExecutable) int { return cmp.Compare(y.Release, x.Release) })
	return s, nil
}

// own notes an executable of the artifact. The newest that a host has too is the dictionary.
func (s *Shipment) own(checksum multiversion.Checksum, release multiversion.Release) {
	if source, ok := s.held[checksum]; ok {
		s.executables = append(s.executables, host.HeldExecutable{Checksum: checksum, Size: source.Size(), Release: release})
	}
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
		case err == nil, len(has) == 0, errors.Is(err, errOwn):
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
	request := s.request(has)
	body, err := s.make(ctx, request)
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
	_, lacking := request.Recipe.Lacking()
	sent.Artifact, sent.There, sent.How = answer.Artifact, s.file.Size()-lacking, HowDelta
	if lacking == s.file.Size() && request.Dictionary == nil {
		sent.How = HowWhole
	}
	return nil
}

// request is how a host that has these executables puts the artifact together.
func (s *Shipment) request(has []host.HeldExecutable) DeltaRequest {
	both := delta.Held{}
	for _, each := range has {
		if source, ok := s.held[each.Checksum]; ok && source.Size() == each.Size {
			both[each.Checksum] = source
		}
	}
	request := DeltaRequest{Recipe: s.recipe.For(both)}
	for _, own := range s.executables {
		if source, ok := both[own.Checksum]; ok && source.Size() <= delta.DictionarySizeMax {
			request.Dictionary = &own.Checksum
			break
		}
	}
	return request
}

// make returns the body of a request, which is made once.
func (s *Shipment) make(ctx context.Context, request DeltaRequest) ([]byte, error) {
	line, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(line)
	key := hex.EncodeToString(sum[:])
	s.mu.Lock()
	at := slices.IndexFunc(s.made, func(each *made) bool { return each.key == key })
	this := &made{key: key}
	if at >= 0 {
		this = s.made[at]
		s.made = slices.Delete(s.made, at, at+1)
	}
	s.made = append(s.made, this)
	s.made = s.made[max(0, len(s.made)-madeMax):]
	s.mu.Unlock()
	this.once.Do(func() {
		name := s.digest + "-" + key
		if this.body = s.kept.get(name); this.body != nil {
			return
		}
		if this.body, this.err = s.compress(append(line, '\n'), request); this.err == nil {
			s.kept.put(name, this.body)
		}
	})
	if this.err != nil { // the next one tries it again
		s.mu.Lock()
		s.made = slices.DeleteFunc(s.made, func(each *made) bool { return each == this })
		s.mu.Unlock()
	}
	return this.body, errors.Join(this.err, context.Cause(ctx))
}

// compress makes the body of a request.
func (s *Shipment) compress(line []byte, request DeltaRequest) ([]byte, error) {
	s.compressing.Lock()
	defer s.compressing.Unlock()
	var dictionary []byte
	if request.Dictionary != nil {
		var err error
		if dictionary, err = s.held.Dictionary(*request.Dictionary); err != nil {
			return nil, fmt.Errorf("%w: %s: %v", errOwn, s.digest, err)
		}
	}
	var body bytes.Buffer
	body.Write(line)
	compressed, err := delta.NewWriter(&body, dictionary)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(compressed, request.Recipe.Rest(s.file))
	if err = errors.Join(err, compressed.Close()); err != nil {
		return nil, fmt.Errorf("compress what is lacking of %s: %w", s.digest, err)
	}
	return body.Bytes(), nil
}
