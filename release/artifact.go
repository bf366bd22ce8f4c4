package release

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/multiversion"
)

// An About says what an artifact is called, and where it is.
type About struct {
	Source SourceKind `json:"source"`
	// Tag is the release, empty where nothing names one. That the file is of that release is for the caller to
	// check, in its header: see [Artifact.Compare].
	Tag   Tag    `json:"tag,omitempty"`
	Asset string `json:"asset,omitempty"` // file name, empty for standard input
	// Location is the URL without credentials and query, the path, or "-".
	Location string `json:"location"`
}

// Place is where it comes from, for people.
func (a About) Place() string {
	if a.Location == "-" {
		return "standard input"
	}
	return a.Location
}

// An Artifact is a file to fetch, and how. It is data for a plan; only [Resolve] and [From] make one that can be
// fetched. Two goroutines must not use one at once.
type Artifact struct {
	About
	Platform multiversion.Platform

	source   Source
	more     []Voucher // besides those of the options
	options  Options
	session  *session
	unpinned error // why "latest" could not be replaced
}

// Path is the artifact's path from the root, empty unless it is a file of this host.
func (a Artifact) Path() string {
	f, ok := a.source.(fileSource)
	if !ok {
		return ""
	}
	if path, err := filepath.Abs(string(f)); err == nil {
		return path
	}
	return string(f)
}

// Absolute is where it comes from, for a record that is read elsewhere.
func (a Artifact) Absolute() string { return cmp.Or(a.Path(), a.Location) }

// FileName is the name that the executable gets by itself, such as tigerbeetle-0.17.8-x86_64-linux.
func (a Artifact) FileName() string {
	if a.Tag == "" {
		return "tigerbeetle-" + string(a.Platform)
	}
	return filepath.Clean("tigerbeetle-" + string(a.Tag) + "-" + string(a.Platform))
}

// OtherPlatformError says that what came is for another platform than was asked for.
type OtherPlatformError struct {
	Location  string
	Is, Asked multiversion.Platform
	File      bool // it was named itself, and no release
}

func (e *OtherPlatformError) Error() string {
	return fmt.Sprintf("%s: it is for %s, not %s as asked for", e.Location, e.Is, e.Asked)
}

// Class is what it means: see [fault.Of].
func (e *OtherPlatformError) Class() fault.Class { return fault.Rejected }

// Compare compares what the binary that came says of itself with what was asked for. The error is an [*OtherPlatformError], or
// wraps a [*multiversion.OtherReleaseError].
func (a Artifact) Compare(platform multiversion.Platform, current multiversion.Release) error {
	want, err := a.Tag.Releases()
	switch {
	case err != nil:
		return err
	case (a.Tag != "" || a.options.ExactPlatform) && platform != a.Platform:
		return &OtherPlatformError{a.Location, platform, a.Platform, a.Tag == ""}
	}
	if err := current.OneOf(want); err != nil {
		return fmt.Errorf("%s: %w", a.Location, err)
	}
	return nil
}

// Near reports whether the bytes are on this host, or are sent to it.
func (a Artifact) Near() bool {
	_, far := a.source.(*webSource)
	return !far && a.Source != SourceRegistry
}

// alone reports whether nothing that is beside the artifact can be asked for.
func (a *Artifact) alone() bool {
	w, ok := a.source.(*webSource)
	return ok && signedAlone(w.url)
}

// begin prepares an operation with the artifact, which session.end ends. It refuses one that Resolve did not make.
func (a *Artifact) begin() error {
	if a.source == nil || a.session == nil {
		return fmt.Errorf("%w: the artifact was not made by Resolve", ErrOption)
	}
	return a.session.begin(!a.Near() || a.wantsGitHubDigest())
}

// whyNotFound tells a release without the asset from one that does not exist. It needs no API.
func (a Artifact) whyNotFound(ctx context.Context) string {
	if a.Tag == Latest {
		return fmt.Sprintf("the newest release has no %s", a.Asset)
	}
	u, err := url.Parse(a.options.BaseURL + "/releases/tag/" + string(a.Tag))
	if err != nil {
		return ""
	}
	resp, err := a.session.client.do(ctx, http.MethodHead, u, nil)
	if err != nil {
		return ""
	}
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return fmt.Sprintf("release %s exists, but has no %s", a.Tag, a.Asset)
	case http.StatusNotFound:
		return fmt.Sprintf("there is no release %s", a.Tag)
	}
	return ""
}
