// Package state is what controllers share: small values by key, each with a revision, and who holds what. [Files] keeps it in a
// directory of one machine; the program tbctl-engines keeps it in etcd.
//
// No safety depends on it. It hands out the numbers of plans, and lets those who work on the same thing see each
// other early; that only one of them changes a host is for the fence on that host to see to.
//
// Every [Store] keeps these rules, and package statetest tests them:
//
//   - A key that is not there has revision 0. Each [Store.Swap] gives a key a higher revision than it ever had.
//   - Of any number of swaps at the same revision one succeeds, and the others are [ErrStale].
//   - What Swap has returned is seen by every later Get and List, of every store of the same state, and lasts.
//   - A key is held by one at a time, and by nobody for longer than its process lives, or than it can be reached.
//   - Keys that are held and keys that have values are apart.
package state

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tbctl/tbctl/fault"
)

const (
	// KeySizeMax is the most bytes of a key.
	KeySizeMax = 128
	// ValueSizeMax is the most bytes of a value.
	ValueSizeMax = 64 << 10
	// KeysMax is the most keys that have a value, and the most that are held.
	KeysMax = 4096
	// WhoSizeMax is the most bytes of a holder's name.
	WhoSizeMax = 256
)

var (
	// ErrStale says that a key has another revision than the one that was to be replaced.
	ErrStale = fault.New(fault.Busy, "another process has changed it meanwhile")
	// ErrKey says that a text is not a key: elements of small letters, digits and . _ -, each begun by a letter
	// or digit, with / between them.
	ErrKey = fault.New(fault.Usage, "not a key")
	// ErrTooMany says that there are [KeysMax] keys.
	ErrTooMany = fault.New(fault.Failed, "too many keys")
	// ErrValue says that a value or a name is too large, or that the name is not a text.
	ErrValue = fault.New(fault.Usage, "not a value that is kept")
	// ErrClosed is what a hold is lost by when its store is closed.
	ErrClosed = errors.New("the state was closed")
)

// Store is state that is shared.
type Store interface {
	// Get returns a key's value and revision; of a key that is not there nil and 0.
	Get(ctx context.Context, key string) (value []byte, revision int64, err error)
	// Swap gives a key a value if it has this revision, 0 for one that is not there, and returns the new revision.
	// Otherwise the error is [ErrStale] and nothing was changed. After any other error the value may have been written.
	Swap(ctx context.Context, key string, value []byte, revision int64) (int64, error)
	// List returns the keys that begin with a text, with their values, in order.
	List(ctx context.Context, prefix string) ([]Entry, error)
	// Hold takes a key for this process, who being its user and machine. When another one has it, the error is a [*HeldError].
	Hold(ctx context.Context, key, who string) (*Hold, error)
	// Holders returns who holds keys that begin with a text, in order.
	Holders(ctx context.Context, prefix string) ([]Holder, error)
	// Close ends all holds of this store.
	Close() error
}

// Entry is a key with its value.
type Entry struct {
	Key      string `json:"key"`
	Value    []byte `json:"value"`
	Revision int64  `json:"revision"`
}

// Holder is who holds a key.
type Holder struct {
	Key   string    `json:"key"`
	Who   string    `json:"who"`   // user and machine; not filtered for a terminal
	Since time.Time `json:"since"` // by the holder's clock, for people
	// Unseen says that it cannot be seen from here whether the holder still lives.
	Unseen bool `json:"unseen,omitempty"`
}

// HeldError says who has a key.
type HeldError struct{ Holder Holder }

func (e *HeldError) Error() string {
	if e.Holder.Who == "" {
		return e.Holder.Key + " is held by another process"
	}
	return fmt.Sprintf("%s is held by %q since %s", e.Holder.Key, e.Holder.Who, e.Holder.Since.UTC().Format(time.RFC3339))
}

// Class is [fault.Fenced]: another run has it.
func (e *HeldError) Class() fault.Class { return fault.Fenced }

// LostError says that a key is not held any more, though it was not given back.
type LostError struct {
	Key string // or what people call it
	Err error
}

func (e *LostError) Error() string { return e.Key + " is not held any more: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *LostError) Unwrap() error { return e.Err }

// Class is [fault.Fenced]: another run may have it by now.
func (e *LostError) Class() fault.Class { return fault.Fenced }

// Hold is a key that is held.
type Hold struct {
	Holder Holder

	release func(context.Context) error
	lost    chan struct{}
	mu      sync.Mutex
	err     error
	ended   bool
}

// NewHold is for a [Store]: a hold, which release gives back.
func NewHold(holder Holder, release func(context.Context) error) *Hold {
	return &Hold{Holder: holder, release: release, lost: make(chan struct{})}
}

// Lost is closed when the key is not held any more and was not given back, or when that cannot be seen any longer.
func (h *Hold) Lost() <-chan struct{} { return h.lost }

// Err says why the hold was lost, a [*LostError]; nil: it was not.
func (h *Hold) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// Lose is for a [Store]: it says that the hold is lost, unless it was given back. The first cause stays.
func (h *Hold) Lose(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return
	}
	h.ended = true
	h.err = &LostError{h.Holder.Key, err}
	close(h.lost)
}

// Release gives the key back. On nil, and after it was lost, it does nothing.
func (h *Hold) Release(ctx context.Context) error {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	ended := h.ended
	h.ended = true
	h.mu.Unlock()
	if ended {
		return nil
	}
	return h.release(ctx)
}

const small = "abcdefghijklmnopqrstuvwxyz0123456789"

// CheckKey refuses what is not a key.
func CheckKey(key string) error {
	if len(key) > KeySizeMax {
		return fmt.Errorf("%w: more than %d bytes", ErrKey, KeySizeMax)
	}
	for element := range strings.SplitSeq(key, "/") {
		if element == "" || strings.Trim(element, small+"._-") != "" || !strings.Contains(small, element[:1]) {
			return fmt.Errorf("%w: %q", ErrKey, key)
		}
	}
	return nil
}

// CheckPrefix refuses what no key begins with.
func CheckPrefix(prefix string) error {
	if len(prefix) > KeySizeMax || strings.Trim(prefix, small+"._-/") != "" {
		return fmt.Errorf("%w: no key begins with %.200q", ErrKey, prefix)
	}
	return nil
}

// CheckValue refuses a value that is too large.
func CheckValue(value []byte) error {
	if len(value) > ValueSizeMax {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrValue, len(value), ValueSizeMax)
	}
	return nil
}

// CheckWho refuses what is not a holder's name.
func CheckWho(who string) error {
	if who == "" || len(who) > WhoSizeMax || !utf8.ValidString(who) {
		return fmt.Errorf("%w: a holder's name is a text of 1 to %d bytes", ErrValue, WhoSizeMax)
	}
	return nil
}
