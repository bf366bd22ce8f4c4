package replica

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tbctl/tbctl/multiversion"
)

// Why a replica refuses a binary whose checksums hold, by upstream's names.
var (
	ErrRunningVersionNotIncluded = errors.New("RunningVersionNotIncluded")
	ErrNotSuperset               = errors.New("NotSuperset")
)

// Refusal says which release a binary lacks for a replica to accept it. It
// matches its Reason.
type Refusal struct {
	Reason  error                  `json:"-"`
	Missing multiversion.Release   `json:"missing"`
	Running multiversion.Release   `json:"running"`
	Offers  []multiversion.Release `json:"offers"` // what the binary would offer
}

// Error says the reason and what the binary offers instead.
func (r *Refusal) Error() string {
	what := "already offered"
	if r.Missing == r.Running {
		what = "running"
	}
	return fmt.Sprintf("%v: release %s is %s, but the binary offers %v", r.Reason, r.Missing, what, r.Offers)
}

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

// Accepts reports whether a replica that runs the release and has offered others
// accepts a binary with this header: what may be advertised of it must hold the
// running release, and every release offered at or above that. The error is a [*Refusal].
func Accepts(header *multiversion.Header, running multiversion.Release, offered []multiversion.Release) error {
	offers := header.Advertisable(running)
	if !slices.Contains(offers, running) {
		return &Refusal{Reason: ErrRunningVersionNotIncluded, Missing: running, Running: running, Offers: offers}
	}
	for _, release := range offered {
		if release >= running && !slices.Contains(offers, release) {
			return &Refusal{Reason: ErrNotSuperset, Missing: release, Running: running, Offers: offers}
		}
	}
	return nil
}
