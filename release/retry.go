package release

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// progressWorth is how many bytes must come before earlier failures are forgiven.
	progressWorth = 64 << 10
	// unreachedAttempts is how often a server is called that has never answered: it, the name server or the
	// proxy is down, or there is no way to it, and waiting long for that does not help.
	unreachedAttempts = 3
	// retryAfterMax is the longest pause that a server may ask for.
	retryAfterMax = 2 * time.Minute
)

// A patience decides whether to try again, and when.
type patience struct {
	policy   Retry
	growing  backoff.ExponentialBackOff
	failed   int   // in a row, without progress
	total    int   // altogether
	progress int64 // bytes since the last failure that counted
	met      bool  // the server has answered
	spent    bool  // another request has used up the attempts: until bytes come there is one
}

func newPatience(policy Retry, spent bool) *patience {
	return &patience{policy: policy, spent: spent, growing: backoff.ExponentialBackOff{
		InitialInterval: policy.WaitMin, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: policy.WaitMax,
	}}
}

// received notes bytes that came.
func (p *patience) received(n int) {
	p.met, p.spent = true, false
	p.progress += int64(n)
	if p.progress >= progressWorth {
		p.failed, p.progress = 0, 0
		p.growing.Reset()
	}
}

// again returns how long to wait before another attempt, or false when err is final or there have
// been enough.
func (p *patience) again(err error) (time.Duration, bool) {
	p.failed++
	p.total++
	p.progress = 0
	attempts := p.policy.Attempts
	if !p.met && calling(err) {
		attempts = min(attempts, unreachedAttempts)
	}
	if p.spent {
		attempts = 1
	}
	if !passing(err) || !p.met && noWay(err) || p.failed >= attempts || p.total >= p.policy.AttemptsMax {
		return 0, false
	}
	p.met = p.met || !calling(err)
	wait := min(p.growing.NextBackOff(), p.policy.WaitMax)
	var answer *HTTPError
	if errors.As(err, &answer) && answer.RetryAfter > 0 {
		if answer.RetryAfter > retryAfterMax {
			return 0, false
		}
		wait = max(wait, answer.RetryAfter)
	}
	return wait, true
}

// passing reports whether an error may be gone next time.
func passing(err error) bool {
	var (
		answer      *HTTPError
		certificate *tls.CertificateVerificationError
		unknown     x509.UnknownAuthorityError
		hostname    x509.HostnameError
		record      tls.RecordHeaderError
		dns         *net.DNSError
		limit       *RateLimitError
	)
	switch {
	case errors.Is(err, ErrRedirect), errors.Is(err, ErrTooLarge), errors.Is(err, ErrSlow), errors.Is(err, errProtocol), errors.Is(err, http.ErrSchemeMismatch):
		return false
	case errors.As(err, &limit):
		return false
	case errors.As(err, &answer):
		return passingStatus(answer.Status)
	case errors.As(err, &certificate), errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &record):
		return false
	case errors.As(err, &dns):
		return !dns.IsNotFound
	}
	return true
}

// calling reports whether an error is about reaching a server at all.
func calling(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && (operation.Op == "dial" || operation.Op == "proxyconnect")
}

// noWay reports whether this host has no network that leads there.
func noWay(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETDOWN)
}

func passingStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// retryAfter reads the header of that name: seconds, or a date. 0 means that there is none.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// answerError describes a final answer that is no success.
func answerError(resp *http.Response, detail string) *HTTPError {
	e := &HTTPError{
		URL: redacted(resp.Request.URL), Status: resp.StatusCode, Detail: detail,
		RetryAfter: retryAfter(resp.Header, time.Now()), Refused: resp.Request.Header.Get("Authorization") != "",
	}
	if e.Refused {
		e.From = credentialsOf(resp.Request)
	}
	if resp.StatusCode == http.StatusProxyAuthRequired {
		e.From = ""
		proxy, err := http.ProxyFromEnvironment(resp.Request)
		e.Refused = err == nil && proxy != nil && proxy.User != nil
	}
	if e.Detail == "" {
		e.Detail = meaning(resp.StatusCode, e.Refused)
		if e.From != "" && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden) {
			e.Detail += ", those from " + e.From
		}
		if e.Status == http.StatusForbidden && signedAlone(resp.Request.URL) {
			e.Detail = "it does not take the URL's signature: it has expired, or was made for another method or path"
		}
	}
	return e
}

// meaning says what a status most often means for a download that had credentials, or had none.
func meaning(status int, credentials bool) string {
	switch {
	case status == http.StatusUnauthorized && credentials:
		return "it does not take the credentials that were given"
	case status == http.StatusUnauthorized:
		return "it wants credentials"
	case status == http.StatusForbidden && credentials:
		return "it does not allow this download with the credentials that were given"
	case status == http.StatusForbidden:
		return "it does not allow this download, or a proxy or a signed URL that has expired stands in the way"
	case status == http.StatusNotFound, status == http.StatusGone:
		return "there is no such file"
	case status == http.StatusProxyAuthRequired && credentials:
		return "the proxy does not take the credentials that were given"
	case status == http.StatusProxyAuthRequired:
		return "the proxy wants credentials"
	}
	return ""
}

// wait sleeps, or returns the context's error.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// errProtocol says that a server answered what HTTP does not allow.
var errProtocol = errors.New("the server's answer makes no sense")

func protocolError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errProtocol, fmt.Sprintf(format, args...))
}
