package release

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// A network answers requests without sockets, so that time in a test is what the test says.
type network func(n int, r *http.Request) (*http.Response, error)

type transport struct {
	answer network
	n      int
	times  []time.Duration // of each request, since the first
	first  time.Time
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.n == 0 {
		t.first = time.Now()
	}
	t.times = append(t.times, time.Since(t.first))
	t.n++
	resp, err := t.answer(t.n, r)
	if resp != nil {
		resp.Request = r
		if resp.Header == nil {
			resp.Header = http.Header{}
		}
	}
	return resp, err
}

func answer(status int, header http.Header, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// A stalling body gives its text and then nothing until the request is cancelled.
type stalling struct {
	text *strings.Reader
	r    *http.Request
}

func (s stalling) Read(p []byte) (int, error) {
	if s.text.Len() > 0 {
		return s.text.Read(p)
	}
	<-s.r.Context().Done()
	return 0, s.r.Context().Err()
}
func (s stalling) Close() error { return nil }

func patient(t *testing.T, retry Retry, n network) (Fetched, []byte, *transport, []Progress, error) {
	t.Helper()
	tr := &transport{answer: n}
	var progress []Progress
	o := Options{BaseURL: "https://host.test", Platform: LinuxX86_64, Transport: tr, Retry: retry,
		Progress: func(p Progress) { progress = append(progress, p) }}
	a, err := resolve("0.17.8", o)
	if err != nil {
		t.Fatal(err)
	}
	var b buffer
	f, err := a.Fetch(t.Context(), &b)
	return f, b.Bytes(), tr, progress, err
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	executable := program(10_000, 1)
	zip := string(zipped(t, executable))
	for status, again := range map[int]bool{
		408: true, 425: true, 429: true, 500: true, 502: true, 503: true, 504: true, 599: true,
		400: false, 401: false, 403: false, 404: false, 407: false, 410: false, 416: false, 451: false, 204: false, 206: false, 304: false,
	} {
		synctest.Test(t, func(t *testing.T) {
			_, b, tr, _, err := patient(t, Retry{}, func(n int, r *http.Request) (*http.Response, error) {
				if n == 1 {
					return answer(status, nil, "no"), nil
				}
				if r.Method == http.MethodHead {
					return answer(500, nil, ""), nil
				}
				return answer(200, nil, zip), nil
			})
			if again && (err != nil || !bytes.Equal(b, executable)) {
				t.Errorf("%d: %v", status, err)
			}
			if !again && err == nil {
				t.Errorf("%d: tried again %d times", status, tr.n)
			}
		})
	}
}

func TestConnectionErrors(t *testing.T) {
	t.Parallel()
	executable := program(10_000, 1)
	zip := string(zipped(t, executable))
	synctest.Test(t, func(t *testing.T) {
		f, b, _, progress, err := patient(t, Retry{}, func(n int, _ *http.Request) (*http.Response, error) {
			if n < 4 {
				return nil, fmt.Errorf("connection reset %d", n)
			}
			return answer(200, nil, zip), nil
		})
		if err != nil || !bytes.Equal(b, executable) || f.Attempts != 4 {
			t.Fatalf("%+v, %v", f, err)
		}
		waits := 0
		for _, p := range progress {
			if !p.WaitUntil.IsZero() && p.Err != nil {
				waits++
			}
		}
		if waits != 3 {
			t.Errorf("%d waits reported", waits)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("no route")
		f, _, tr, _, err := patient(t, Retry{}, func(int, *http.Request) (*http.Response, error) { return nil, down })
		var transfer *TransferError
		if !errors.Is(err, down) || !errors.As(err, &transfer) || transfer.Attempts != 6 || f.Attempts != 6 || transfer.Kept {
			t.Fatalf("%+v, %v", f, err)
		}
		for i := 1; i < len(tr.times); i++ {
			pause, least := tr.times[i]-tr.times[i-1], 250*time.Millisecond<<(i-1)
			if pause < least || pause > 3*least {
				t.Errorf("pause %d: %v", i, pause)
			}
		}
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	executable := program(10_000, 1)
	zip := string(zipped(t, executable))
	for name, tc := range map[string]struct {
		header func() string
		pause  time.Duration // 0: gives up
	}{
		"seconds":  {func() string { return "90" }, 90 * time.Second},
		"date":     {func() string { return time.Now().Add(100 * time.Second).UTC().Format(http.TimeFormat) }, 100 * time.Second},
		"too long": {func() string { return "3600" }, 0},
		"absurd":   {func() string { return "9999999999999999999999" }, 300 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, b, tr, _, err := patient(t, Retry{}, func(n int, _ *http.Request) (*http.Response, error) {
				if n == 1 {
					return answer(503, http.Header{"Retry-After": {tc.header()}}, ""), nil
				}
				return answer(200, nil, zip), nil
			})
			if tc.pause == 0 {
				var answered *HTTPError
				if !errors.As(err, &answered) || answered.RetryAfter != time.Hour || tr.n != 1 {
					t.Errorf("%s: %v", name, err)
				}
				return
			}
			if err != nil || !bytes.Equal(b, executable) {
				t.Fatalf("%s: %v", name, err)
			}
			if got := tr.times[1]; got < tc.pause-time.Second || got > tc.pause+time.Second {
				t.Errorf("%s: waited %v", name, got)
			}
		})
	}
}

// TestIdle ends attempts in which nothing comes, before or within the body, and only those: a slow
// transfer may take any time.
func TestIdle(t *testing.T) {
	t.Parallel()
	executable := program(10_000, 1)
	zip := string(zipped(t, executable))
	synctest.Test(t, func(t *testing.T) {
		f, b, tr, _, err := patient(t, Retry{IdleTimeout: 20 * time.Second}, func(n int, r *http.Request) (*http.Response, error) {
			switch n {
			case 1:
				<-r.Context().Done()
				return nil, r.Context().Err()
			case 2:
				resp := answer(200, http.Header{"Etag": {`"1"`}}, zip)
				resp.Body = stalling{strings.NewReader(zip[:100]), r}
				return resp, nil
			}
			resp := answer(206, http.Header{"Etag": {`"1"`}, "Content-Range": {fmt.Sprintf("bytes 100-%d/%d", len(zip)-1, len(zip))}}, zip[100:])
			return resp, nil
		})
		if err != nil || !bytes.Equal(b, executable) || f.Attempts != 3 {
			t.Fatalf("%+v, %v", f, err)
		}
		for i, least := range []time.Duration{0, 20 * time.Second, 40 * time.Second} {
			if tr.times[i] < least || tr.times[i] > least+5*time.Second {
				t.Errorf("request %d after %v", i+1, tr.times[i])
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		_, _, _, _, err := patient(t, Retry{}, func(_ int, r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		if !errors.Is(err, ErrIdle) {
			t.Errorf("%v", err)
		}
	})
	large := program(2<<20, 1)
	zip = string(zipped(t, large))
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, b, tr, _, err := patient(t, Retry{IdleTimeout: 20 * time.Second}, func(_ int, r *http.Request) (*http.Response, error) {
			resp := answer(200, nil, zip)
			resp.Body = io.NopCloser(&slow{strings.NewReader(zip), idleBytes, 10 * time.Second})
			return resp, nil
		})
		if err != nil || !bytes.Equal(b, large) || tr.n != 1 {
			t.Errorf("slow: %v", err)
		}
		if took := time.Since(start); took < 10*time.Minute {
			t.Errorf("took %v", took)
		}
	})
	synctest.Test(t, func(t *testing.T) { // who sends a byte now and then has sent nothing
		start := time.Now()
		_, _, _, _, err := patient(t, Retry{IdleTimeout: 20 * time.Second}, func(_ int, r *http.Request) (*http.Response, error) {
			resp := answer(200, nil, zip)
			resp.Body = io.NopCloser(&slow{strings.NewReader(zip), 1, 10 * time.Second})
			return resp, nil
		})
		if took := time.Since(start); !errors.Is(err, ErrIdle) || took > time.Hour {
			t.Errorf("dripping: %v after %v", err, took)
		}
	})
}

// TestHurry ends a download that others wait for when it has come too slowly for five minutes, however the server spins it out, and
// no sooner; without that it may take any time.
func TestHurry(t *testing.T) {
	t.Parallel()
	large := program(2<<20, 1)
	zip := string(zipped(t, large))
	drip := func(size int, pause time.Duration) network {
		return func(_ int, _ *http.Request) (*http.Response, error) {
			resp := answer(200, nil, zip)
			resp.Body = io.NopCloser(&slow{strings.NewReader(zip), size, pause})
			return resp, nil
		}
	}
	for name, test := range map[string]struct {
		network network
		slow    bool
	}{
		"just enough not to be idle": {drip(idleBytes, 10*time.Second), true},
		"it comes in time":           {drip(len(zip)/8+1, 20*time.Second), false},
		"it is fast enough":          {drip(HurryRate, time.Second), false},
		"pauses that it asks for": {func(n int, r *http.Request) (*http.Response, error) {
			if n%2 == 0 {
				return answer(503, http.Header{"Retry-After": {"100"}}, "later"), nil
			}
			resp := answer(200, nil, zip)
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(zip[:progressWorth*n]), iotest.ErrReader(syscall.ECONNRESET)))
			return resp, nil
		}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, b, _, _, err := patient(t, Retry{Hurry: true}, test.network)
			took := time.Since(start)
			switch {
			case test.slow && (!errors.Is(err, ErrSlow) || took < HurryAfter-retryAfterMax || took > HurryAfter+time.Minute):
				t.Errorf("%s: %v after %v", name, err, took)
			case !test.slow && (err != nil || !bytes.Equal(b, large)):
				t.Errorf("%s: %v after %v", name, err, took)
			}
		})
	}
}

// A slow reader gives that many bytes at a time.
type slow struct {
	r     io.Reader
	size  int
	pause time.Duration
}

func (s *slow) Read(p []byte) (int, error) {
	<-time.After(s.pause) // on the clock of the test
	return s.r.Read(p[:min(len(p), s.size)])
}

// TestProgress reports each piece, and the end.
func TestProgress(t *testing.T) {
	t.Parallel()
	zip := string(zipped(t, program(10_000, 1)))
	_, _, _, progress, err := patient(t, Retry{}, func(_ int, r *http.Request) (*http.Response, error) {
		resp := answer(200, nil, zip)
		resp.Body = io.NopCloser(iotest.HalfReader(strings.NewReader(zip)))
		return resp, nil
	})
	if err != nil || len(progress) < 2 {
		t.Fatalf("%d reports, %v", len(progress), err)
	}
	if last := progress[len(progress)-1]; last.Done != int64(len(zip)) || last.Total != int64(len(zip)) || last.Attempt != 1 {
		t.Errorf("last: %+v", last)
	}
}
