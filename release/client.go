package release

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/tbctl/tbctl/vfs"
)

const (
	redirectsMax = 10
	caFileMax    = 4 << 20 // bytes
	// connectTimeout bounds finding and reaching a server. It is short because a firewall that drops
	// everything is the usual reason for it, and there are more attempts.
	connectTimeout = 10 * time.Second
	headersMax     = 256 << 10 // bytes of an answer's headers
)

// A client makes requests the way this package promises: with the proxy and certificates that the
// environment asks for, no credentials to strangers, and no limit on time but those for connecting and
// for waiting until something comes.
type client struct {
	http      *http.Client
	transport *http.Transport // nil when the caller brought one
	userAgent string
	idle      time.Duration
	pace      *pace // nil: it may take any time

	credentials credentials
}

// A pace is how much came, and how long was waited for it, in all requests of a client.
type pace struct {
	mu     sync.Mutex
	waited time.Duration
	came   int64
}

// add adds to both. The error is ErrSlow when that was too little for the time.
func (p *pace) add(waited time.Duration, came int) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waited += waited
	p.came += int64(came)
	if p.waited > HurryAfter && float64(p.came) < HurryRate*p.waited.Seconds() {
		return ErrSlow
	}
	return nil
}

func newClient(o Options) (*client, error) {
	c := &client{userAgent: o.UserAgent, idle: o.Retry.IdleTimeout}
	if o.Retry.Hurry {
		c.pace = new(pace)
	}
	transport := o.Transport
	if transport == nil {
		var err error
		if c.transport, err = newTransport(o); err != nil {
			return nil, err
		}
		transport = c.transport
	}
	if o.Gate != nil {
		transport = gated{transport, o.Gate}
	}
	c.http = &http.Client{Transport: discreetTransport{transport}, CheckRedirect: checkRedirect}
	return c, nil
}

// gated asks before it sends anything.
type gated struct {
	transport http.RoundTripper
	gate      func(*http.Request) error
}

func (g gated) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context()) // what the gate sets is no part of what a redirect repeats
	if err := g.gate(req); err != nil {
		return nil, err
	}
	return g.transport.RoundTrip(req)
}

func newTransport(o Options) (*http.Transport, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = http.ProxyFromEnvironment
	t.DialContext = (&net.Dialer{Timeout: connectTimeout}).DialContext
	// With HTTP/2 a transfer that is given up leaves its connection, and the next attempt would wait on
	// the same dead line. One connection for each transfer is all that is needed.
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.DisableCompression = true // the asset's own bytes are hashed and resumed
	t.ReadBufferSize = 64 << 10
	t.MaxResponseHeaderBytes = headersMax
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.OnProxyConnectResponse = checkProxy
	if o.CAFile == "" {
		return t, nil
	}
	pem, err := readFileBounded(o.CAFile, caFileMax)
	if err != nil {
		return nil, fmt.Errorf("%w: the CA file: %w", ErrOption, err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%w: the CA file %s has no certificate in PEM", ErrOption, o.CAFile)
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// checkProxy keeps what a proxy says when it does not connect.
func checkProxy(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	credentials := proxy.User != nil
	detail := "the proxy does not connect"
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired: // some say the first of a wrong password
		detail = meaning(http.StatusProxyAuthRequired, credentials)
	}
	return &HTTPError{
		URL: redacted(proxy), Status: resp.StatusCode, Detail: detail, RetryAfter: retryAfter(resp.Header, time.Now()),
		Refused: credentials, Proxy: true,
	}
}

// server is who answers a request for the URL, or does not: its host, or the proxy on the way there.
func (c *client) server(u *url.URL) string {
	if c.transport != nil && c.transport.Proxy != nil {
		if proxy, err := c.transport.Proxy(&http.Request{URL: u}); err == nil && proxy != nil {
			return "proxy " + proxy.Host
		}
	}
	return u.Host
}

func (c *client) close() {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
}

// checkRedirect keeps redirects few and encrypted, and takes away what is not for another host.
func checkRedirect(req *http.Request, via []*http.Request) error {
	last := via[len(via)-1]
	switch {
	case len(via) > redirectsMax:
		return fmt.Errorf("%w: more than %d in a row", ErrRedirect, redirectsMax)
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return fmt.Errorf("%w: to %s, neither http nor https", ErrRedirect, schemeOf(req.URL))
	case last.URL.Scheme == "https" && req.URL.Scheme != "https":
		return fmt.Errorf("%w: from https to plain http on %s", ErrRedirect, req.URL.Host)
	}
	// The previous URL's query may hold a secret.
	req.Header.Del("Referer")
	// Once a request has been to another host its credentials stay away, even if it comes back.
	for _, earlier := range via {
		if earlier.URL.Host != req.URL.Host || earlier.URL.Scheme != req.URL.Scheme {
			req.Header.Del("Authorization")
			req.Header.Del("Cookie")
			break
		}
	}
	return nil
}

// get starts a request. The answer's body must be closed; reading it fails with ErrIdle when less than idleBytes
// come in the idle timeout, which holds for the time before the answer too.
func (c *client) get(ctx context.Context, u *url.URL, header http.Header) (*http.Response, error) {
	return c.do(ctx, http.MethodGet, u, header)
}

func (c *client) do(ctx context.Context, method string, u *url.URL, header http.Header) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(c.idle, func() { cancel(ErrIdle) })
	bare := *u
	bare.User = nil
	from := ""
	switch {
	case u.User != nil:
		from = "the URL"
	case c.credentials.are(u):
		from = c.credentials.from
	}
	ctx = context.WithValue(ctx, credentialsKey{}, from)
	req, err := http.NewRequestWithContext(ctx, method, bare.String(), nil)
	if err != nil {
		timer.Stop()
		cancel(nil)
		return nil, fmt.Errorf("request %s: %w", redacted(u), err)
	}
	for key, values := range header {
		req.Header[key] = values
	}
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept-Encoding", "identity")
	switch {
	case u.User != nil:
		password, _ := u.User.Password()
		req.Header.Set("Authorization", basic(u.User.Username(), password))
	case c.credentials.are(u):
		req.Header.Set("Authorization", c.credentials.header)
	}
	begun := time.Now()
	resp, err := c.http.Do(req)
	timer.Stop()
	slow := c.pace.add(time.Since(begun), 0)
	if err != nil {
		err = withoutURL(ctx, err)
		cancel(nil)
		return nil, cmp.Or(slow, err)
	}
	resp.Body = &idleBody{body: resp.Body, ctx: ctx, cancel: cancel, timer: timer, idle: c.idle, left: c.idle, pace: c.pace}
	return resp, nil
}

// withoutURL takes the URL out of an error of net/http, and names the real cause of a cancelled one.
func withoutURL(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// idleBytes is how much must come for the clock of an idle transfer to begin again: who sends a byte now and then must not
// keep a target locked for as long as he likes.
const idleBytes = 16 << 10

// An idleBody ends a transfer in which next to nothing comes. Its clock runs only while someone waits for
// bytes, so a slow reader is not mistaken for a slow server.
type idleBody struct {
	body   io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
	left   time.Duration // of idle
	came   int           // bytes since the clock began
	pace   *pace
}

func (b *idleBody) Read(p []byte) (int, error) {
	if err := context.Cause(b.ctx); err != nil {
		return 0, err
	}
	begun := time.Now()
	b.timer.Reset(b.left)
	n, err := b.body.Read(p)
	b.timer.Stop()
	waited := time.Since(begun)
	b.left -= waited
	if slow := b.pace.add(waited, n); slow != nil && err != io.EOF {
		return n, slow
	}
	if b.came += n; b.came >= idleBytes {
		b.left, b.came = b.idle, 0
	}
	if err != nil && err != io.EOF {
		err = withoutURL(b.ctx, err)
	}
	return n, err
}

func (b *idleBody) Close() error {
	b.timer.Stop()
	b.cancel(nil)
	return b.body.Close()
}

// readFileBounded reads a small file, and none that would come late, or never.
func readFileBounded(name string, most int64) ([]byte, error) {
	f, _, err := vfs.OpenFile(name, func(mode fs.FileMode) error {
		switch {
		case mode.IsDir():
			return vfs.ErrDirectory
		case !mode.IsRegular():
			return vfs.ErrNotRegular
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f, most)
}

// readBounded reads all of r, at most so many bytes. The error for more matches ErrTooLarge.
func readBounded(r io.Reader, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, most)
	}
	return b, nil
}
