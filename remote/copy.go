package remote

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/serve"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/multiversion"
)

// Hosts copy artifacts from each other.
//
//	POST /v1/depot  DepotRequest -> DepotAnswer: the host's store can be read, at the address that its own configuration
//	    names, with the token of the answer, until the session ends
//	POST /v1/copy   CopyRequest -> CopyAnswer, when the artifact is durable
//
// The depot's certificate is made for the session, and who copies knows its SHA-256 by way of the controller. What is copied is
// what its SHA-256 says, whoever gave it. A depot may also be a registry, see fetch.go.
const (
	pathDepot = "/v1/depot"
	pathCopy  = "/v1/copy"

	// CopyLimit is how long a copy may take.
	CopyLimit = 10 * time.Minute

	copyConnect = 10 * time.Second // until the depot is reached: a firewall that drops everything is the usual reason
	copyHeaders = 60 * time.Second // until it answers: it may have to make a delta first
	copySlack   = 256 << 10        // bytes that a delta may have beyond what it makes
	tokenMax    = 128              // bytes
	addressMax  = 300              // bytes
)

// CopyRequest asks a host to fetch an artifact from another's depot, or from a registry, as far as it lacks it.
type CopyRequest struct {
	Target      string `json:"target"`   // whose files may have parts of it
	Artifact    string `json:"artifact"` // its SHA-256 in hexadecimal digits
	Size        int64  `json:"size"`     // in bytes
	From        string `json:"from"`     // ADDR:PORT, and nothing else is connected to
	Token       string `json:"token"`
	Certificate string `json:"certificate"` // the SHA-256 of the depot's

	// URL is of the artifact's blob in a registry, in place of a depot's address and certificate. The token is then the registry's; "":
	// it wants none.
	URL string `json:"url,omitempty"`
}

// CopyAnswer says what it took to copy an artifact.
type CopyAnswer struct {
	Artifact depot.Artifact `json:"artifact"` // as the host has it now

	Came    int64          `json:"came"`     // bytes that came from the depot, those in vain included
	There   int64          `json:"there"`    // bytes of the artifact that the host had
	How     How            `json:"how"`      // the try that brought it
	From    string         `json:"from"`     // "": it was there already
	LeftOut []host.LeftOut `json:"left_out"` // what the host has and could not take it from
}

// SourceError says that the depot from which an artifact was to be copied is to blame: it cannot be reached, or does not give what
// it should. Another source may.
type SourceError struct {
	From string // its address
	Err  error
}

// Error names the depot.
func (e *SourceError) Error() string { return e.before() + e.Err.Error() }

func (e *SourceError) before() string { return "copy from " + e.From + ": " }

// Unwrap returns the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// Class is [fault.Failed], whatever the cause says.
func (e *SourceError) Class() fault.Class { return fault.Failed }

// Copy lets a host fetch an artifact from another's depot, and returns when it is durable there, or with the context. The error unwraps
// to a [*SourceError] when that depot is to blame.
func (s *Session) Copy(ctx context.Context, request CopyRequest) (CopyAnswer, error) {
	var answer CopyAnswer
	err := s.within(ctx, s.patience+CopyLimit, http.MethodPost, pathCopy, request, &answer)
	if err == nil && (answer.Artifact.SHA256 != request.Artifact || answer.Artifact.Size != request.Size) {
		err = fmt.Errorf("host %s: it stored %.64q of %d bytes, not %s", s.Host, answer.Artifact.SHA256, answer.Artifact.Size, request.Artifact)
	}
	return answer, err
}

func (h *Host) copy(w http.ResponseWriter, r *http.Request) {
	var request CopyRequest
	target, err := h.read(r, &request, func() string { return request.Target })
	if err == nil {
		err = request.check(h.Registries)
	}
	var copied CopyAnswer
	if err == nil {
		copied, err = h.copied(r.Context(), target, request)
	}
	if err != nil {
		h.refuse(w, err, commandStore, "")
		return
	}
	answer(w, http.StatusOK, copied)
}

// CheckCopyFrom refuses what is no ADDR:PORT, with * for any address or any port; it is of class usage.
func CheckCopyFrom(texts []string) error {
	for _, text := range texts {
		name, port, err := net.SplitHostPort(text)
		if name == "*" {
			name = "any"
		}
		if port == "*" {
			port = "1"
		}
		if err == nil {
			err = CheckDepot(net.JoinHostPort(name, port))
		}
		if err != nil {
			return fault.New(fault.Usage, fmt.Sprintf("%.80q is not ADDR:PORT, nor *:PORT or ADDR:*", text))
		}
	}
	return nil
}

// mayCopy refuses an address that this host's own configuration does not let it copy from: otherwise the other end could find out from here
// what listens where.
func (h *Host) mayCopy(from string) error {
	allowed := h.CopyFrom
	if _, port, err := net.SplitHostPort(h.Depot); err == nil && len(allowed) == 0 {
		allowed = []string{net.JoinHostPort("*", port)}
	}
	name, port, _ := net.SplitHostPort(from)
	for _, each := range allowed {
		if ofName, ofPort, err := net.SplitHostPort(each); err == nil && (ofName == "*" || ofName == name) && (ofPort == "*" || ofPort == port) {
			return nil
		}
	}
	return &SourceError{from, errNotAllowed}
}

var (
	errNotAllowed = errors.New(`this host's configuration does not let it copy from there: copy-from = ["ADDR:PORT"], or a depot with the same port`)
	errNoDepot    = errors.New("no depot with the certificate that was named is reached there: is that host up, and does no firewall keep this one from it?")
)

// check refuses what cannot be copied, and what a host that names these registries does not fetch.
func (c *CopyRequest) check(registries []string) error {
	most := tokenMax
	if c.URL != "" {
		most = registryTokenMax
	}
	switch {
	case !sha.Is(c.Artifact):
		return sha.Check(c.Artifact)
	case c.Size <= 0 || c.Size > multiversion.SizeMax:
		return fault.New(fault.Usage, fmt.Sprintf("an artifact of %d bytes", c.Size))
	case c.URL == "" && !sha.Is(c.Certificate):
		return sha.Check(c.Certificate)
	case len(c.Token) > most || strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fault.New(fault.Usage, "the token is no token")
	case c.URL != "":
		_, err := c.blob(registries)
		return err
	}
	return CheckDepot(c.From)
}

// copied copies an artifact. One at a time is, as for what is sent.
func (h *Host) copied(ctx context.Context, target string, request CopyRequest) (CopyAnswer, error) {
	end, err := h.deltas.take(ctx, "")
	if err != nil {
		return CopyAnswer{}, err
	}
	defer end()
	if request.URL == "" {
		if err := h.mayCopy(request.From); err != nil {
			return CopyAnswer{}, err
		}
	}
	c := &copying{CopyRequest: request, store: h.Store, answer: CopyAnswer{LeftOut: []host.LeftOut{}}}
	if h.Store.Check(ctx, request.Artifact) == nil {
		if c.answer.Artifact, err = h.Store.Stat(request.Artifact); err == nil && c.answer.Artifact.Size == request.Size {
			c.answer.There = request.Size
			return c.answer, nil
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, CopyLimit, &SourceError{cmp.Or(request.From, request.URL), fmt.Errorf("not all of it came within %v", CopyLimit)})
	defer cancel()
	if request.URL != "" {
		err = c.fetch(ctx, h, target)
	} else {
		c.held = host.OpenHeld(h.Installer.FS, target, h.Store)
		defer c.held.Close()
		c.client = c.newClient()
		defer c.client.CloseIdleConnections()
		c.answer.From = request.From
		err = c.run(ctx)
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return c.answer, err
}

// copying is one copy.
type copying struct {
	CopyRequest

	store  *depot.Depot
	held   *host.Held
	client *http.Client
	met    atomic.Bool // the depot has shown its certificate
	answer CopyAnswer
}

// run tries a delta, without each executable that turns out to be damaged here, and then all of it.
func (c *copying) run(ctx context.Context) error {
	err := c.delta(ctx)
	var seed *delta.SeedError
	for range seedTriesMax {
		if !errors.As(err, &seed) {
			break
		}
		c.answer.LeftOut = append(c.answer.LeftOut, host.LeftOut{Path: c.held.Name(seed.Checksum), Why: seed.Error()})
		delete(c.held.Held, seed.Checksum)
		err = c.delta(ctx)
	}
	source, blamed := errors.AsType[*SourceError](err)
	switch {
	case err == nil, ctx.Err() != nil, !blamed && !errors.As(err, &seed):
		return err
	case blamed && (errors.Is(source, errNoDepot) || errors.As(source, new(*net.OpError))):
		return err // it cannot be reached, or the connection broke
	case blamed:
		c.answer.LeftOut = append(c.answer.LeftOut, host.LeftOut{Why: source.Error()})
	}
	return c.whole(ctx)
}

// newClient connects to the depot and to nothing else, whatever the environment or an answer says.
func (c *copying) newClient() *http.Client {
	dialer := &net.Dialer{Timeout: copyConnect}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "tcp", c.From)
			},
			TLSHandshakeTimeout: copyConnect, ResponseHeaderTimeout: copyHeaders, MaxResponseHeaderBytes: RequestSizeMax, DisableCompression: true,
			TLSClientConfig: &tls.Config{
				MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, // its SHA-256 is compared
				VerifyConnection: func(state tls.ConnectionState) error {
					sum := sha256.Sum256(state.PeerCertificates[0].Raw)
					if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(c.Certificate)) != 1 {
						return errNoDepot
					}
					c.met.Store(true)
					return nil
				},
			},
		},
	}
}

// coming is the body of an answer: counted, no longer than it may be, and cut when nothing of it comes.
type coming struct {
	io.ReadCloser

	left  int64
	came  *int64
	timer *time.Timer
	err   error // why it could not be read to its end
}

var errLonger = errors.New("it sends more than it should")

func (b *coming) Read(data []byte) (int, error) {
	if b.left <= 0 {
		b.err = errLonger
		return 0, b.err
	}
	b.timer.Reset(bodyTimeout)
	count, err := b.ReadCloser.Read(data[:min(int64(len(data)), b.left)])
	b.timer.Stop()
	b.left -= int64(count)
	*b.came += int64(count)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return count, err
}

// blame is the error of a copy that the depot is to blame for, if it is.
func (b *coming) blame(from string, err error) error {
	switch {
	case err == nil:
		return nil
	case b.err != nil:
		return &SourceError{from, b.err}
	case errors.Is(err, delta.ErrDelta), errors.Is(err, depot.ErrDigest):
		return &SourceError{from, err}
	}
	return err
}

// get asks for a path, and reads its answer of at most so many bytes with read.
func (c *copying) get(ctx context.Context, path string, most int64, read func(*coming, *http.Response) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.From+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+c.Token)
	request.Header.Set("Accept-Encoding", "identity")
	response, err := c.client.Do(request)
	if err != nil && !c.met.Load() && ctx.Err() == nil { // whether anything listens there, and what, is not for the other end to know
		return &SourceError{c.From, errNoDepot}
	}
	if err != nil {
		return &SourceError{c.From, unwrapped(err)}
	}
	timer := time.AfterFunc(bodyTimeout, func() { cancel(fmt.Errorf("nothing came within %v", bodyTimeout)) })
	defer timer.Stop()
	body := &coming{ReadCloser: response.Body, left: most, came: &c.answer.Came, timer: timer}
	defer body.Close()
	if response.StatusCode != http.StatusOK {
		return &SourceError{c.From, fmt.Errorf("it answers with status %d", response.StatusCode)}
	}
	return body.blame(c.From, read(body, response))
}

// unwrapped takes the URL off an error of net/http.
func unwrapped(err error) error {
	for {
		next := errors.Unwrap(err)
		if _, is := err.(interface{ Timeout() bool }); !is || next == nil || errors.As(err, new(*net.OpError)) && !errors.As(next, new(*net.OpError)) {
			return err
		}
		err = next
	}
}

// delta copies what the host lacks.
func (c *copying) delta(ctx context.Context) error {
	path := serve.PathDigest + c.Artifact + serve.SuffixDelta + "?" + delta.QueryHeld + "=" + delta.FormatHeld(c.held.Newest(delta.HeldMax))
	return c.get(ctx, path, c.Size+delta.HeadSizeMax+copySlack, func(body *coming, _ *http.Response) error {
		head, rest, err := delta.ReadHead(body)
		if err != nil {
			return &SourceError{c.From, err}
		}
		if err := c.fits(head); err != nil {
			return &SourceError{c.From, err}
		}
		how := HowDelta
		if head.Whole() {
			how = HowWhole
		}
		_, lacking := head.Recipe.Lacking()
		return c.keep(ctx, how, c.Size-lacking, func(to io.Writer) error { return head.Rebuild(ctx, to, c.held.Held, rest) })
	})
}

// fits refuses a head that makes another file, or of what this host has not.
func (c *copying) fits(head delta.Head) error {
	if head.Recipe.Size != c.Size {
		return fmt.Errorf("it makes a file of %d bytes, and the artifact has %d", head.Recipe.Size, c.Size)
	}
	needs := []*multiversion.Checksum{head.Dictionary}
	for index := range head.Recipe.Segments {
		needs = append(needs, head.Recipe.Segments[index].Executable)
	}
	for _, each := range needs {
		if each != nil && c.held.Held[*each] == nil {
			return fmt.Errorf("it needs the executable %s, which is not here", each)
		}
	}
	return nil
}

// whole copies all of the artifact.
func (c *copying) whole(ctx context.Context) error {
	return c.get(ctx, serve.PathDigest+c.Artifact, c.Size+1, func(body *coming, response *http.Response) error {
		if response.ContentLength != c.Size {
			return &SourceError{c.From, fmt.Errorf("it has %d bytes, and the artifact has %d", response.ContentLength, c.Size)}
		}
		return c.keep(ctx, HowWhole, 0, func(to io.Writer) error {
			count, err := io.Copy(to, body)
			if err == nil && count != c.Size {
				err = &SourceError{c.From, io.ErrUnexpectedEOF}
			}
			return err
		})
	})
}

// keep stores what write writes.
func (c *copying) keep(ctx context.Context, how How, there int64, write func(io.Writer) error) error {
	writer, err := c.store.Receive(c.Size)
	if err != nil {
		return err
	}
	if err := write(writer); err != nil {
		return errors.Join(err, writer.Abort())
	}
	c.answer.Artifact, err = shelf.Keep(ctx, writer, c.Artifact)
	c.answer.How, c.answer.There = how, there
	return err
}
