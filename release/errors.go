package release

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/archive"
)

// Errors that a caller may branch on.
var (
	// ErrTag says that a text is not a release tag.
	ErrTag = fault.New(fault.Usage, "not a release tag")
	// ErrPlatform says that there is no release for a platform.
	ErrPlatform = fault.New(fault.Usage, "no such platform")
	// ErrNotFound says that the source does not have what was asked for.
	ErrNotFound = errors.New("not found")
	// ErrOption says that an option cannot be used, or not with this source.
	ErrOption = fault.New(fault.Usage, "unusable option")
	// ErrChanged says that the source's file changed during the transfer and the destination could not
	// start over.
	ErrChanged = errors.New("the file changed during the transfer")
	// ErrTooLarge says that a source holds more than may be read.
	ErrTooLarge = fault.New(fault.Rejected, "too large")
	// ErrEndedEarly says that nothing came on standard input, or a file without its end: what sends it failed.
	ErrEndedEarly = archive.ErrEndedEarly
	// ErrRedirect says that a server redirected to where this package does not go.
	ErrRedirect = errors.New("redirect refused")
	// ErrIdle says that nothing, or less than 16 KiB, came in the idle timeout.
	ErrIdle = errors.New("next to nothing received within the idle timeout")
	// ErrSlow says that too little came for a download that others wait for, see [Retry.Hurry].
	ErrSlow error = slowError{}
	// ErrNotListable says that a source cannot tell which releases it has.
	ErrNotListable = fault.New(fault.Usage, "this source cannot list releases")
)

type slowError struct{}

func (slowError) Error() string {
	return fmt.Sprintf("less than %d KiB a second came for more than %.0f minutes, and what is installed is locked meanwhile", HurryRate>>10, HurryAfter.Minutes())
}

// A SchemeError is a place that other programs know, and this package does not.
type SchemeError struct {
	Scheme string // such as s3
	Text   string // that was given, without what may be secret
	Mirror bool   // it was to be a mirror
}

func (e *SchemeError) Error() string {
	return fmt.Sprintf("%v: URLs begin with http, https or file, not the scheme %q", ErrOption, e.Scheme)
}

// Is makes it match [ErrOption].
func (e *SchemeError) Is(target error) bool { return target == ErrOption }

// Class is [fault.Usage].
func (e *SchemeError) Class() fault.Class { return fault.Usage }

// An HTTPError is a final answer other than success.
type HTTPError struct {
	URL    string `json:"url"` // without credentials and query
	Status int    `json:"status"`
	// Detail is what the status means here, for people. It may be empty.
	Detail string `json:"detail,omitempty"`
	// RetryAfter is how long the server asked to wait, 0 if it did not.
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	// Refused says that the request, or the one to the proxy, had credentials: they are not taken.
	Refused bool `json:"credentials_refused,omitempty"`
	// From says where the refused credentials are from: "the URL", a file's name, or words for people. Empty of a proxy's, and of GitHub's token.
	From string `json:"credentials_from,omitempty"`
	// Proxy says that a proxy answered, which was to connect to a server.
	Proxy bool `json:"proxy,omitempty"`
}

func (e *HTTPError) Error() string {
	text := fmt.Sprintf("%s: server answered %d %s", e.URL, e.Status, http.StatusText(e.Status))
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.RetryAfter > 0 {
		text += fmt.Sprintf(" (it asks to wait for %v)", e.RetryAfter)
	}
	return text
}

// Is makes a server's 404 or 410 match ErrNotFound. A proxy's says nothing of what the server has.
func (e *HTTPError) Is(target error) bool {
	return target == ErrNotFound && !e.Proxy && (e.Status == http.StatusNotFound || e.Status == http.StatusGone)
}

// A TransferError is a download that did not finish although it was tried again.
type TransferError struct {
	URL      string `json:"url"`
	Received int64  `json:"received"` // bytes
	Total    int64  `json:"total"`    // bytes, -1 if unknown
	Attempts int    `json:"attempts"`
	// Kept says that a later Fetch continues where this one stopped.
	Kept bool  `json:"kept"`
	Err  error `json:"-"`
}

func (e *TransferError) Error() string {
	of := ""
	if e.Total >= 0 {
		of = fmt.Sprintf(" of %d", e.Total)
	}
	kept := ""
	if e.Kept {
		kept = "; what came is kept and the next try continues there"
	}
	attempts := "1 attempt"
	if e.Attempts != 1 {
		attempts = fmt.Sprintf("%d attempts", e.Attempts)
	}
	cause := strings.TrimPrefix(fmt.Sprint(e.Err), e.URL+": ")
	return fmt.Sprintf("download %s: %d%s bytes after %s%s: %s", e.URL, e.Received, of, attempts, kept, cause)
}

func (e *TransferError) Unwrap() error { return e.Err }

// An ArtifactError says that the artifact is to blame, and not the way to it: what came is not what it
// should be, or may not be used, and the next host would see the same. It wraps a [*KindError], a
// [*TrustError], what is wrong with the archive, or what matches [ErrTooLarge]. Every other error of this package
// says nothing against the artifact.
type ArtifactError struct {
	Location string `json:"location"`
	Err      error  `json:"-"`
}

func (e *ArtifactError) Error() string {
	reason := e.Err
	var transfer *TransferError
	if errors.As(e.Err, &transfer) {
		reason = transfer.Err
	}
	return About{Location: e.Location}.Place() + ": " + reason.Error()
}

func (e *ArtifactError) Unwrap() error { return e.Err }

// Class is [fault.Rejected].
func (e *ArtifactError) Class() fault.Class { return fault.Rejected }

// A KindError is a source that serves something else than a zip or an executable: most often an
// error page, or another kind of archive.
type KindError struct {
	Location    string `json:"location"`
	Kind        string `json:"kind"`                   // one word, such as html
	ContentType string `json:"content_type,omitempty"` // as the server stated it
}

func (e *KindError) Error() string {
	text := fmt.Sprintf("it is %s, neither a zip archive nor an executable", archive.Kind(e.Kind))
	if e.ContentType != "" {
		text += fmt.Sprintf(" (served as %.80q)", e.ContentType)
	}
	return text
}

// A TrustError says that the bytes are not what they should be, or that nothing proves that they
// are although that was asked for or required, and nothing will.
type TrustError struct {
	Location string     `json:"location"`
	Require  Require    `json:"require,omitempty"`
	Evidence []Evidence `json:"evidence"`
}

func (e *TrustError) Error() string {
	for _, evidence := range e.Evidence {
		if evidence.Status == StatusFailed {
			return fmt.Sprintf("it cannot be trusted: %s: %s", evidence.Kind, evidence.Detail)
		}
	}
	text := "it cannot be trusted: what is asked for to vouch for it is not there"
	if e.Require != RequireNothing {
		text = fmt.Sprintf("it cannot be trusted: a %s is required and none held", e.Require)
	}
	return text + toldEvidence(e.Evidence)
}

// toldEvidence is the evidence for people.
func toldEvidence(list []Evidence) string {
	text := ""
	for _, evidence := range list {
		text += fmt.Sprintf("; %s %s: %s", evidence.Kind, evidence.Status, evidence.Detail)
	}
	return text
}

// An UnavailableError says that what is to vouch for the artifact, because it was asked for by name or
// required, could not be had. Nothing was fetched, and nothing is known against the artifact: another time
// it may be had.
type UnavailableError struct {
	Location string     `json:"location"`
	Require  Require    `json:"require,omitempty"`
	Evidence []Evidence `json:"evidence"`
	Err      error      `json:"-"` // why, of the first that could not be had
}

func (e *UnavailableError) Error() string {
	return e.Location + ": what is to vouch for it could not be had" + toldEvidence(e.Evidence)
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// Class is [fault.Failed], whatever the cause is: nothing is known against the artifact.
func (e *UnavailableError) Class() fault.Class { return fault.Failed }

// A TokenError is GitHub's API that answered neither with the token nor without one.
type TokenError struct {
	Refusal string `json:"refusal"` // what it answered with the token
	// Hidden says that it answered that there is no such thing, as it does of what the token may not read.
	Hidden bool  `json:"hidden,omitempty"`
	Err    error `json:"-"` // what came of the request without it
}

func (e *TokenError) Error() string {
	switch {
	case e.Hidden && errors.Is(e.Err, ErrNotFound):
		return e.Refusal + " with the token and without it: it is not there, or the token may not read a private repository"
	case e.Hidden:
		return fmt.Sprintf("with the token %s: it is not there, or the token may not read a private repository; without it: %v", e.Refusal, e.Err)
	}
	return fmt.Sprintf("the token was not taken: %s; without it: %v", e.Refusal, e.Err)
}

func (e *TokenError) Unwrap() error { return e.Err }

// Failed reports whether a check was made and failed, as opposed to none being possible.
func (e *TrustError) Failed() bool {
	for _, evidence := range e.Evidence {
		if evidence.Status == StatusFailed {
			return true
		}
	}
	return false
}

// A RateLimitError is GitHub's refusal to answer more requests for a while. Direct downloads are not
// counted against this limit.
type RateLimitError struct {
	Limit         int       `json:"limit"` // requests an hour, 0 if not stated
	Reset         time.Time `json:"reset"` // zero if not stated
	Authenticated bool      `json:"authenticated"`
}

func (e *RateLimitError) Error() string {
	text := "the API's rate limit is used up"
	if e.Limit > 0 {
		text = fmt.Sprintf("the API's rate limit of %d requests an hour is used up", e.Limit)
	}
	if !e.Reset.IsZero() {
		text += " until " + e.Reset.UTC().Format(time.RFC3339)
	}
	if !e.Authenticated {
		text += " (for requests without a token; with one it is higher)"
	}
	return text
}
