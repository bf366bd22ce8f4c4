package release

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"sync/atomic"
	"time"
)

// A session is what one Fetch or List shares among its requests.
type session struct {
	client  *client
	options Options
	report  *reporter
	way     *way
}

// newSession prepares requests. Where none can follow, network is false, and a proxy that is not needed
// may be malformed.
func newSession(o Options, w *way, network bool) (*session, error) {
	if network && o.Transport == nil {
		if err := checkProxyVariables(os.Getenv); err != nil {
			return nil, err
		}
	}
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	return &session{client: c, options: o, report: newReporter(o), way: w}, nil
}

func (s *session) close() {
	s.report.end()
	s.client.close()
}

// small fetches a small file, trying again where that may help.
func (s *session) small(ctx context.Context, u *url.URL, header http.Header, most int64) ([]byte, error) {
	var b []byte
	err := s.trying(ctx, u, header, func(resp *http.Response) (err error) {
		if resp.StatusCode != http.StatusOK {
			return answerError(resp, "")
		}
		b, err = readBounded(resp.Body, most)
		return err
	})
	return b, err
}

// trying makes a request until f takes its answer, it fails for good, or it has failed often enough. A
// server that did not answer another request is not called again.
func (s *session) trying(ctx context.Context, u *url.URL, header http.Header, f func(*http.Response) error) error {
	server := s.client.server(u)
	if silence := s.way.silence(server); silence != nil {
		return silence.err
	}
	patience := newPatience(s.options.Retry, s.way.isFailing(server))
	var answered atomic.Bool // by this server, if only with a redirect to another one
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() { answered.Store(true) }})
	for {
		resp, err := s.client.get(traced, u, header)
		if err == nil {
			answered.Store(true)
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
			var answer *HTTPError
			s.way.gaveUp(server, patience.total, answered.Load() || errors.As(err, &answer), err)
			return err
		}
		s.report.waiting(Progress{Total: -1, Attempt: patience.total, WaitUntil: time.Now().Add(pause), Err: err})
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}
