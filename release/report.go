package release

import (
	"sync"
	"time"
)

// A reporter calls the caller's progress function: not too often, not twice at once, and not after
// the end.
type reporter struct {
	mu    sync.Mutex
	call  func(Progress) // nil when there is none, or at the end
	every time.Duration
	last  time.Time
}

func newReporter(o Options) *reporter { return &reporter{call: o.Progress, every: o.ProgressEvery} }

// bytes reports progress when it is time, and always when the last byte has come.
func (r *reporter) bytes(p Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.call == nil {
		return
	}
	now := time.Now()
	if p.Done != p.Total && now.Sub(r.last) < r.every {
		return
	}
	r.last = now
	r.call(p)
}

// waiting reports a pause.
func (r *reporter) waiting(p Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.call != nil {
		r.call(p)
	}
}

// end makes sure that nothing is reported any more.
func (r *reporter) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.call = nil
}
