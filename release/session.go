package release

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A session is what the requests about one artifact share: the client, who is told how far they are, and what they
// have learnt of the servers on their way, so that none has to find out again what another has found out already.
// Two goroutines must not use it at once.
type session struct {
	options  Options
	place    *url.URL // of the mirror, or that was named: where credentials go; nil: nowhere
	progress reporter

	client   *client             // nil before begin
	reached  map[string]bool     // by server
	silent   map[string]*silence // by server: it could not be reached
	failing  map[string]bool     // by server: it is reached, and a round of attempts has come to nothing
	refusal  string              // why the token is not taken, empty while it may be
	gathered *Expected           // what Expected found out, for the next Fetch
	whole    string              // why this Fetch takes nothing of what this host has
	noDelta  string              // why this Fetch takes no delta
}

// A silence is a server that could not be reached.
type silence struct {
	attempts int
	err      error
}

func newSession(o Options) *session {
	return &session{options: o, reached: make(map[string]bool), silent: make(map[string]*silence), failing: make(map[string]bool)}
}

// begin prepares an operation. Where no request can follow, online is false, and a proxy that is not needed
// may be malformed. The errors match ErrOption.
func (s *session) begin(online bool) error {
	if online && s.options.Transport == nil {
		if err := checkProxyVariables(os.Getenv); err != nil {
			return err
		}
	}
	if s.client == nil {
		c, err := newClient(s.options)
		if err != nil {
			return err
		}
		if online {
			if c.credentials, err = s.credentials(); err != nil {
				return err
			}
		}
		s.client = c
	}
	s.progress.to(s.options.Progress)
	return nil
}

// end ends an operation: nothing is reported any more.
func (s *session) end() {
	s.progress.to(nil)
	s.client.close()
}

// small fetches a small file, trying again where that may help. What it is waited for with is told by its name.
func (s *session) small(ctx context.Context, name string, u *url.URL, header http.Header, most int64) ([]byte, error) {
	var b []byte
	err := s.trying(ctx, name, u, header, func(resp *http.Response) (err error) {
		if resp.StatusCode != http.StatusOK {
			return answerError(resp, "")
		}
		b, err = readBounded(resp.Body, most)
		return err
	})
	return b, err
}

// trying makes a request until f takes its answer, it fails for good, or it has failed often enough. A
// server that could not be reached for another request is not called again: one that did not answer it may
// answer others.
func (s *session) trying(ctx context.Context, name string, u *url.URL, header http.Header, f func(*http.Response) error) error {
	server := s.client.server(u)
	if silence := s.silent[server]; silence != nil {
		return silence.err
	}
	patience := newPatience(s.options.Retry, s.failing[server])
	var reached atomic.Bool // this server, if only for a redirect to another one
	defer func() { s.reached[server] = s.reached[server] || reached.Load() }()
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { reached.Store(true) }})
	for {
		resp, err := s.client.get(traced, u, header)
		if err == nil {
			reached.Store(true) // which the caller's transport need not trace
			err = f(resp)
			resp.Body.Close()
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		pause, again := patience.again(err)
		if !again {
			if reached.Load() || s.reached[server] || errors.As(err, new(*HTTPError)) {
				s.failing[server] = s.failing[server] || passing(err)
			} else {
				s.silent[server] = &silence{patience.total, err}
			}
			return err
		}
		if name != "" {
			err = fmt.Errorf("%s: %w", name, err)
		}
		s.progress.report(Progress{Total: -1, Attempt: patience.total, WaitUntil: time.Now().Add(pause), Err: err})
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}

// A reporter calls the caller's progress function: not twice at once, and not after the end.
type reporter struct {
	mu   sync.Mutex
	call func(Progress) // nil when there is none, or after the end
}

// to says who is told from now on, nil for nobody.
func (r *reporter) to(call func(Progress)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.call = call
}

func (r *reporter) report(p Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.call != nil {
		r.call(p)
	}
}
