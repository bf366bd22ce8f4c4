package release

import "sync"

// A way is what the requests about one artifact learn of the servers on their way, so that none has to find
// out again what another has found out already.
type way struct {
	mu       sync.Mutex
	silent   map[string]*silence // by server: none that was asked has ever answered
	failing  map[string]bool     // by server: it answers, and a round of attempts has come to nothing
	refusal  string              // why the token is not taken, empty while it may be
	gathered *gathered           // what Expected found out, for the next Fetch
}

// A silence is a server that did not answer.
type silence struct {
	attempts int
	err      error
}

func newWay() *way {
	return &way{silent: make(map[string]*silence), failing: make(map[string]bool)}
}

// silence returns what is known of a server that does not answer, or nil.
func (w *way) silence(server string) *silence {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.silent[server]
}

// isFailing reports whether a server has used up a round of attempts.
func (w *way) isFailing(server string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failing[server]
}

// gaveUp notes the error after which a request was not made again, and whether there was any answer.
func (w *way) gaveUp(server string, attempts int, answered bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if answered {
		w.failing[server] = w.failing[server] || passing(err)
	} else {
		w.silent[server] = &silence{attempts, err}
	}
}

// refused notes why the token is not taken.
func (w *way) refused(why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusal = why
}

// tokenRefusal is why the token is not taken, or empty.
func (w *way) tokenRefusal() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refusal
}

// keep keeps what was found out for the next Fetch.
func (w *way) keep(g *gathered) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gathered = g
}

// take returns what was kept, once.
func (w *way) take() *gathered {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.gathered
	w.gathered = nil
	return g
}
