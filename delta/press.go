package delta

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

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/current"
	"github.com/tbctl/tbctl/multiversion"
)

const (
	// madeMax and madeSizeMax are how many deltas are held in memory, and of how many bytes. The last one always is.
	madeMax     = 8
	madeSizeMax = 64 << 20
)

// ErrChanged says that a file of which a delta is to be made has changed.
var ErrChanged = fault.New(fault.Rejected, "what is to be sent has changed since it was stored")

// ErrQueue says that too many deltas are to be made already.
var ErrQueue = fault.New(fault.Busy, "too many deltas are to be made at once")

// A File is what deltas are made of.
type File struct {
	digest string // of all its bytes
	source current.Source
	recipe Recipe
	held   Held
	newest []multiversion.Checksum // of its executables, the newest first
}

// NewFile prepares a file, which stays open, of this SHA-256. Nothing is compared: the receivers do. What is no multiversion binary is
// sent whole.
func NewFile(digest string, source current.Source) *File {
	f := &File{digest: digest, source: source, held: Held{}}
	f.recipe = Recipe{Size: source.Size(), Segments: []Segment{{Size: source.Size()}}}
	binary, err := multiversion.Parse(source, source.Size())
	if err != nil {
		return f
	}
	if recipe, err := Of(binary); err == nil {
		f.recipe = recipe
	}
	f.held.Add(binary)
	type executable struct {
		release  multiversion.Release
		checksum multiversion.Checksum
	}
	var all []executable
	for i := range binary.Images {
		header := &binary.Images[i].Header
		all = append(all, executable{header.Current.Release, header.Current.Checksum})
		for _, past := range header.Past {
			all = append(all, executable{past.Release, past.Checksum})
		}
	}
	slices.SortStableFunc(all, func(x, y executable) int { return cmp.Compare(y.release, x.release) })
	for _, each := range all {
		if f.held[each.checksum] != nil {
			f.newest = append(f.newest, each.checksum)
		}
	}
	return f
}

// Size is that of the file, in bytes.
func (f *File) Size() int64 { return f.source.Size() }

// Of returns the executable of the file that has this checksum; nil: there is none.
func (f *File) Of(checksum multiversion.Checksum) current.Source { return f.held[checksum] }

// For says how a receiver puts the file together that has the executables for which has is true. The newest of them is
// the dictionary.
func (f *File) For(has func(multiversion.Checksum) bool) Head {
	both := Held{}
	for checksum, source := range f.held {
		if has(checksum) {
			both[checksum] = source
		}
	}
	head := Head{Recipe: f.recipe.For(both)}
	for index := range f.newest {
		if source := both[f.newest[index]]; source != nil && source.Size() <= DictionarySizeMax {
			head.Dictionary = &f.newest[index]
			break
		}
	}
	return head
}

// A Press makes deltas, one at a time, as each takes a processor and memory for several executables. The same one is made once, however
// many ask for it. The zero value is useful. Many goroutines may use it at once.
type Press struct {
	// Kept is where deltas are kept for another run; nil: nowhere.
	Kept *Kept
	// QueueMax is how many may wait to be made; 0: as many as ask.
	QueueMax int

	mu     sync.Mutex
	made   []*made // the one that was used last is the last
	queued int
	turn   chan struct{}
}

// made is one delta.
type made struct {
	key  string
	done chan struct{} // closed when it was made
	body []byte
	err  error
}

// Make returns the delta of a file that begins with a head. The error matches [ErrQueue], [ErrChanged], or is the context's,
// which ends a wait: what has begun is made to its end.
func (p *Press) Make(ctx context.Context, f *File, head Head) ([]byte, error) {
	line, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(line)
	key := f.digest + "-" + hex.EncodeToString(sum[:])
	for {
		this, ours, err := p.find(key)
		if err != nil {
			return nil, err
		}
		if ours {
			this.body, this.err = p.take(ctx, f, head, append(line, '\n'), key)
			p.ended(this)
		}
		select {
		case <-this.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if !errors.Is(this.err, errLeft) || ours {
			return this.body, errors.Join(this.err, context.Cause(ctx))
		}
	}
}

// errLeft says that who was to make a delta did not wait for its turn.
var errLeft = errors.New("who was to make it has gone")

// find returns a delta, and whether the caller is to make it.
func (p *Press) find(key string) (*made, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turn == nil {
		p.turn = make(chan struct{}, 1)
	}
	at := slices.IndexFunc(p.made, func(each *made) bool { return each.key == key })
	if at >= 0 {
		this := p.made[at]
		p.made = append(slices.Delete(p.made, at, at+1), this)
		return this, false, nil
	}
	if p.QueueMax > 0 && p.queued >= p.QueueMax {
		return nil, false, ErrQueue
	}
	p.queued++
	this := &made{key: key, done: make(chan struct{})}
	p.made = append(p.made, this)
	return this, true, nil
}

// ended notes that a delta was made, or why not: then the next one who asks tries it again.
func (p *Press) ended(this *made) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queued--
	if this.err != nil {
		p.made = slices.DeleteFunc(p.made, func(each *made) bool { return each == this })
	}
	close(this.done)
	count, size := 0, 0
	for index := len(p.made) - 1; index >= 0; index-- {
		each := p.made[index]
		select {
		case <-each.done:
		default:
			continue // it is being made
		}
		count, size = count+1, size+len(each.body)
		if count > 1 && (count > madeMax || size > madeSizeMax) {
			p.made = slices.Delete(p.made, index, index+1)
		}
	}
}

// take waits for the turn, and makes a delta unless it is kept.
func (p *Press) take(ctx context.Context, f *File, head Head, line []byte, key string) ([]byte, error) {
	if body := p.Kept.get(key); body != nil {
		return body, nil
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errLeft, context.Cause(ctx))
	}
	body, err := f.compress(head, line)
	if err == nil {
		p.Kept.put(key, body)
	}
	return body, err
}

// compress makes the delta.
func (f *File) compress(head Head, line []byte) ([]byte, error) {
	var dictionary []byte
	if head.Dictionary != nil {
		var err error
		if dictionary, err = f.held.Dictionary(*head.Dictionary); err != nil {
			return nil, fmt.Errorf("%w: %s: %v", ErrChanged, f.digest, err)
		}
	}
	var body bytes.Buffer
	body.Write(line)
	compressed, err := NewWriter(&body, dictionary)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(compressed, head.Recipe.Rest(f.source))
	if err = errors.Join(err, compressed.Close()); err != nil {
		return nil, fmt.Errorf("compress what is lacking of %s: %w", f.digest, err)
	}
	return body.Bytes(), nil
}
