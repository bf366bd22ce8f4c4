package release

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/vfs"
)

// restartsMax is how often a Fetch begins anew because the file turned out to be another one.
const restartsMax = 3

// Fetched says what came, and from where.
type Fetched struct {
	Source Source `json:"source"`
	// Tag is the release, empty when it is not known. For "latest" it is the one that it stood for.
	Tag      Tag    `json:"tag,omitempty"`
	Asset    string `json:"asset,omitempty"`
	Location string `json:"location"`
	// FinalURL is where redirects led, without credentials and query. Empty for local sources.
	FinalURL string `json:"final_url,omitempty"`
	// Kind is what the asset is: "zip" or a kind of executable.
	Kind archive.Kind `json:"kind"`

	AssetSize        int64  `json:"asset_size"` // bytes
	AssetSHA256      string `json:"asset_sha256"`
	ExecutableSize   int64  `json:"executable_size"` // bytes
	ExecutableSHA256 string `json:"executable_sha256"`
	EntryName        string `json:"entry_name,omitempty"` // in the zip
	// EntryMode is the permission in the zip, 0 if it states none.
	EntryMode vfs.Mode `json:"entry_mode,omitempty"`

	// Validator is the strong ETag or the Last-Modified under which the server gave the bytes.
	Validator    string `json:"validator,omitempty"`
	BytesFetched int64  `json:"bytes_fetched"` // over the network, repetitions included
	BytesResumed int64  `json:"bytes_resumed"` // received by an earlier run
	Attempts     int    `json:"attempts"`      // requests for the asset
	Restarts     int    `json:"restarts"`      // how often everything began anew
	// CacheNote says why nothing could be kept for a later run, empty when there was no obstacle.
	CacheNote string `json:"cache_note,omitempty"`
	// TokenNote says why the token was not taken, and that GitHub was asked without it. Empty otherwise.
	TokenNote string `json:"token_note,omitempty"`

	Evidence []Evidence `json:"evidence"`
	// Trusted says that at least one piece of evidence held. Without it nothing but TLS and checksums in
	// the files themselves stands behind the bytes: those find damage, not forgery.
	//
	// It is as good as what held, which Evidence names. SHA256SUMS comes from where the asset comes from: it
	// proves that the two belong together, and finds damage and a half-updated mirror. Whoever can change
	// the asset there, or on the way when it is plain http, can change the list too. Against them stand a
	// digest that the caller got elsewhere, GitHub's for a mirror's file, and a signature.
	Trusted bool `json:"trusted"`
}

// Fetch streams the executable to dst: out of the zip while that arrives, or as it is when the source
// is the executable itself. It keeps to a few MiB of memory.
//
// On nil dst has received the whole executable, everything stated about it has held, and what is
// required did. On an error dst has received any part of anything, and must not be used; the result
// then tells how far it came. After an interrupted download what came is kept in Options.CacheDir, for
// the next Fetch of the same URL, unless that would end in the same way.
//
// When the bytes turn out to be another file's half way, dst starts over if it has a method
// Reset() error, which must make it empty; without one the error matches [ErrChanged].
//
// Errors: [*ArtifactError] where the artifact is to blame, [*UnavailableError] when what is to vouch for it
// could not be had, [*TransferError] (it wraps [*HTTPError] and others), [ErrNotFound], [ErrOption], the
// context's, and what dst returned. dst is written to from another goroutine, but never after Fetch has
// returned. A read of Options.Stdin may outlast an error.
func (a Artifact) Fetch(ctx context.Context, dst io.Writer) (Fetched, error) {
	f := Fetched{Source: a.Source, Asset: a.Asset, Location: a.Location, Evidence: []Evidence{}}
	if err := a.fetchable(); err != nil {
		return f, err
	}
	s, err := newSession(a.options, a.way, a.onNetwork())
	if err != nil {
		return f, err
	}
	defer s.close()
	g, err := a.gather(ctx, s)
	a, claims := g.artifact, g.claims
	f.Tag, f.Location, f.TokenNote = g.tag(), a.Location, a.way.tokenRefusal()
	if err != nil {
		return f, a.final(err, &f)
	}
	if silent := a.unreachable(s); silent != nil {
		f.Attempts = silent.Attempts
		return f, silent
	}
	out := &output{dst: dst}
	for {
		err := a.fetchOnce(ctx, s, claims, out, &f)
		if err == nil {
			return f, nil
		}
		if f.Restarts >= restartsMax || !a.worthRestart(err, &f) || ctx.Err() != nil {
			return f, a.final(err, &f)
		}
		if reset := out.reset(); reset != nil {
			return f, fmt.Errorf("%w (after: %w)", reset, err)
		}
		f.Restarts++
		f.BytesResumed = 0
	}
}

// fetchable refuses an artifact that Resolve did not make.
func (a *Artifact) fetchable() error {
	if a.way == nil || a.url == nil && a.path == "" && a.Source != SourceStdin {
		return fmt.Errorf("%w: the artifact was not made by Resolve", ErrOption)
	}
	return nil
}

// onNetwork reports whether any request may follow.
func (a *Artifact) onNetwork() bool { return a.url != nil || a.wantsGitHubDigest() }

// unreachable is the error of a download from a server that did not answer when it was asked what stands
// beside the asset, or nil.
func (a *Artifact) unreachable(s *session) *TransferError {
	if a.url == nil {
		return nil
	}
	silence := s.way.silence(s.client.server(a.url))
	if silence == nil {
		return nil
	}
	return &TransferError{URL: a.Location, Total: -1, Attempts: silence.attempts, Err: silence.err}
}

// final makes an error fit for the caller: the transfer's own without what stood on the way, an
// [*ArtifactError] where the artifact is to blame, and a judgement's evidence in the result too.
func (a *Artifact) final(err error, f *Fetched) error {
	var (
		restart     *errRestart
		transfer    *TransferError
		trust       *TrustError
		kind        *KindError
		format      *archive.FormatError
		unavailable *UnavailableError
	)
	switch {
	case errors.As(err, &restart):
		return &TransferError{URL: a.Location, Total: -1, Attempts: f.Attempts, Err: fmt.Errorf("%w again and again: %w", ErrChanged, restart)}
	case errors.As(err, &unavailable):
		f.Evidence = unavailable.Evidence
	case errors.As(err, &trust):
		f.Evidence = trust.Evidence
		return &ArtifactError{a.Location, err}
	case errors.As(err, &kind), errors.As(err, &format), errors.Is(err, ErrTooLarge):
		return &ArtifactError{a.Location, err}
	case errors.As(err, &transfer):
		return transfer
	}
	return err
}

// worthRestart reports whether beginning anew may help: the server's file changed, or what an earlier
// run left is damaged.
func (a *Artifact) worthRestart(err error, f *Fetched) bool {
	var restart *errRestart
	if errors.As(err, &restart) {
		return true
	}
	var (
		format *archive.FormatError
		kind   *KindError
		trust  *TrustError
	)
	return f.BytesResumed > 0 && (errors.As(err, &format) || errors.As(err, &kind) || errors.As(err, &trust) && trust.Failed())
}

// fetchOnce is one try from the first byte to the last.
func (a *Artifact) fetchOnce(ctx context.Context, s *session, claims []claim, out *output, f *Fetched) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	src, err := a.open(ctx, s, f)
	if err != nil {
		return err
	}
	out.sum = sha256.New()
	err = a.stream(ctx, cancel, src, out, f)
	if err == nil {
		f.AssetSize, f.AssetSHA256 = src.size, hexSum(src.sum)
		f.ExecutableSize, f.ExecutableSHA256 = out.written, hexSum(out.sum)
		f.Evidence, err = a.judge(claims, measured{
			assetSHA256: f.AssetSHA256, executableSHA256: f.ExecutableSHA256,
			assetSize: f.AssetSize, executableSize: f.ExecutableSize, message: src.message,
		})
		f.Trusted = err == nil && AnyHeld(f.Evidence)
	}
	a.finish(src, f, err)
	return err
}

// resumable reports whether a later Fetch can go on where this one ended: the bytes are not wrong, and the
// next request would not end at the same place for the same reason.
func resumable(err error) bool {
	var (
		format  *archive.FormatError
		kind    *KindError
		trust   *TrustError
		restart *errRestart
	)
	switch {
	case err == nil, errors.Is(err, ErrTooLarge), errors.Is(err, errProtocol):
		return false
	}
	return !errors.As(err, &format) && !errors.As(err, &kind) && !errors.As(err, &trust) && !errors.As(err, &restart)
}

// finish closes the source and notes what the download was.
func (a *Artifact) finish(src *asset, f *Fetched, err error) {
	keep := resumable(err) || err == nil && a.options.Keep
	d := src.download
	if d == nil {
		src.close(keep)
		return
	}
	f.BytesFetched += d.fetched
	f.BytesResumed = d.resumed
	f.Attempts += d.attempts
	f.Validator = d.validator
	if d.answer != nil {
		if kind := (*KindError)(nil); errors.As(err, &kind) {
			kind.ContentType = d.answer.Header.Get("Content-Type")
		}
		f.FinalURL = redacted(d.answer.Request.URL)
		if tag := tagOnTheWay(d.answer); tag != "" && a.Tag == Latest {
			f.Tag = tag
		}
	}
	if d.partial != nil && d.partial.err != nil {
		f.CacheNote = d.partial.err.Error()
	}
	kept := d.close(keep)
	var transfer *TransferError
	if errors.As(err, &transfer) {
		transfer.Kept = kept
	}
}

// tagOnTheWay finds the tag in the URLs that led to an answer: GitHub redirects from latest to a tag.
func tagOnTheWay(resp *http.Response) Tag {
	for req := resp.Request; req != nil; req = req.Response.Request {
		_, rest, found := strings.Cut(req.URL.Path, "/releases/download/")
		if text, _, _ := strings.Cut(rest, "/"); found {
			if tag, err := ParseTag(text); err == nil && tag != Latest {
				return tag
			}
		}
		if req.Response == nil {
			break
		}
	}
	return ""
}
