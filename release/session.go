package release

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"time"
)

// A session is what one Fetch or List shares among its requests.
type session struct {
	client  *client
	options Options
	report  *reporter
}

// newSession prepares requests. Where none can follow, network is false, and a proxy that is not needed
// may be malformed.
func newSession(o Options, network bool) (*session, error) {
	if network && o.Transport == nil {
		if err := checkProxyVariables(os.Getenv); err != nil {
			return nil, err
		}
	}
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	return &session{client: c, options: o, report: newReporter(o)}, nil
}

func (s *session) close() {
	s.report.end()
	s.client.close()
}

// small fetches a small file, trying again where that may help.
func (s *session) small(ctx context.Context, u *url.URL, header http.Header, most int64) ([]byte, error) {
	var b []byte
	err := s.trying(ctx, func() error {
		resp, err := s.client.get(ctx, u, header)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return answerError(resp, "")
		}
		b, err = readBounded(resp.Body, most)
		return err
	})
	return b, err
}

// trying calls f until it succeeds, fails for good, or has failed often enough.
func (s *session) trying(ctx context.Context, f func() error) error {
	patience := newPatience(s.options.Retry)
	for {
		err := f()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		pause, again := patience.again(err)
		if !again {
			return err
		}
		s.report.waiting(Progress{Total: -1, Attempt: patience.total, WaitUntil: time.Now().Add(pause), Err: err})
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}
