package engine

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
)

const (
	// SchemeTUF is what names a repository of The Update Framework: tuf+https://HOST[:PORT]/PATH. Its metadata is in PATH/metadata, and
	// its targets are in PATH/targets.
	SchemeTUF = "tuf+https://"
	// SchemeTUFPlain names one that is read without TLS.
	SchemeTUFPlain = "tuf+http://"

	// ListTarget is the target that is a repository's list of advisories.
	ListTarget = "advisories.json"

	pathTUF = "/v1/tuf/find"

	// RootSizeMax is the most bytes of a root.json.
	RootSizeMax = 512_000
)

// Why nothing is taken from a TUF repository. Those of class rejected say that what came is not to be trusted.
var (
	ErrTUFReference = fault.New(fault.Usage, "not tuf+https://HOST/PATH")
	ErrTUFMetadata  = fault.New(fault.Rejected, "not the metadata of a TUF repository")
	ErrTUFExpired   = fault.New(fault.Rejected, "the metadata has expired")
	ErrTUFOlder     = fault.New(fault.Rejected, "the metadata is older than what was seen here before")
	ErrTUFMixed     = fault.New(fault.Rejected, "the metadata does not belong together")
	ErrTUFUnsigned  = fault.New(fault.Rejected, "too few of the right keys have signed the metadata")
	ErrTUFLong      = fault.New(fault.Rejected, "the metadata is longer than it may be")
	ErrTUFRoot      = fault.New(fault.Rejected, "the root that was named is not one of this repository")
	ErrTUFNoRoot    = fault.New(fault.Usage, "no root is known of this repository")
	ErrTUFKept      = fault.New(fault.Failed, "what is kept of the repository's metadata is damaged")
	ErrTUFOthers    = fault.New(fault.Refused, "what is kept of the repository's metadata is not believed")
	ErrTUFTarget    = fault.New(fault.Failed, "the repository has no such target")
	ErrTUFOther     = fault.New(fault.Rejected, "a file of the repository is not the one that was signed")
	ErrTUFMissing   = fault.New(fault.Failed, "the repository lacks a file")
	ErrTUFAway      = fault.New(fault.Failed, "the TUF repository does not answer")
)

// Trust finds out what the signed metadata of TUF repositories says.
type Trust interface {
	// Find refreshes the metadata of a repository, keeps what was seen of it, finds a target, and fetches the list of advisories, if there
	// is one.
	Find(ctx context.Context, question Wanted) (Found, error)
}

// Wanted is a target of a TUF repository.
type Wanted struct {
	URL    string   `json:"url"`               // of the repository, https:// or http://
	Root   []byte   `json:"root,omitempty"`    // a root.json that is trusted; none: the one that is kept
	Dir    string   `json:"dir"`               // where the metadata of all repositories is kept
	CAFile string   `json:"ca_file,omitempty"` // certificates that are trusted besides the system's
	Names  []string `json:"names"`             // of the target; the first one that is there
}

// Found is what the metadata says of a target, and where its bytes are.
type Found struct {
	URL    string       `json:"url"`
	Signed depot.Signed `json:"signed"`

	// Advisories are the repository's list, of the same metadata; nil: it has none.
	Advisories *SignedList `json:"advisories,omitempty"`
}

// SignedList is a list of advisories with what the metadata says of it: its length and its SHA-256 are those of the text.
type SignedList struct {
	Signed depot.Signed `json:"signed"`
	Text   []byte       `json:"text"`
}

// IsTUF says that a text names a repository of The Update Framework.
func IsTUF(text string) bool {
	return strings.HasPrefix(text, SchemeTUF) || strings.HasPrefix(text, SchemeTUFPlain)
}

// ParseTUF is the URL of a repository that a text names. One without TLS is refused unless plain says that it is wanted. The error is [ErrTUFReference].
func ParseTUF(text string, plain bool) (string, error) {
	at, is := strings.CutPrefix(text, "tuf+")
	parsed, err := url.Parse(at)
	switch {
	case !is || err != nil || !IsTUF(text) || parsed.Host == "" || parsed.RawQuery != "" || parsed.Fragment != "":
		return "", fmt.Errorf("%.200q: %w", text, ErrTUFReference)
	case parsed.User != nil:
		return "", fmt.Errorf("%w, and without a user", ErrTUFReference)
	case (parsed.Scheme == "http") != plain:
		return "", fmt.Errorf("%w; without TLS it is tuf+http://HOST/PATH with --plain-http", ErrTUFReference)
	}
	return strings.TrimRight(parsed.String(), "/"), nil
}

// TargetNames are the names that a release's target may have: of the bare executable, or else of the archive.
func TargetNames(tag release.Tag, platform multiversion.Platform, debug bool) []string {
	archive := release.AssetName(platform, debug)
	return []string{string(tag) + "/" + strings.TrimSuffix(archive, ".zip"), string(tag) + "/" + archive}
}

// Find finds a target in a repository, by its signed metadata.
func (e *Engine) Find(ctx context.Context, wanted Wanted) (found Found, err error) {
	return found, e.ask(ctx, pathTUF, wanted, &found)
}

// Artifact is the release that a target is. What vouches for it is the signed metadata, as strongly as a signature: its length and
// its SHA-256 are compared.
func (f *Found) Artifact(tag release.Tag, options release.Options) (release.Artifact, error) {
	about := release.About{Source: release.SourceTUF, Tag: tag, Asset: f.Signed.Target[strings.LastIndexByte(f.Signed.Target, '/')+1:]}
	claim := release.Claim{
		Kind: release.EvidenceTUF, Strength: release.RequireSignature, SHA256: f.Signed.SHA256, Of: "asset", Length: f.Signed.Size, Bounded: true,
		Said: "; by " + f.said(),
	}
	return release.At(f.URL, about, options, vouch(claim))
}

// said tells which metadata it was.
func (f *Found) said() string {
	at := slices.IndexFunc(f.Signed.Roles, func(role depot.SignedRole) bool { return role.Role == "targets" })
	if at < 0 {
		return f.Signed.Repository
	}
	role := f.Signed.Roles[at]
	return fmt.Sprintf("targets %d of %s, signed by %s", role.Version, f.Signed.Repository, strings.Join(role.Keys, " and "))
}

// trust answers what is asked of TUF repositories.
func (s *Session) trust(mux *http.ServeMux) {
	if s.Trust == nil {
		return
	}
	mux.HandleFunc("POST "+pathTUF, func(w http.ResponseWriter, r *http.Request) {
		var question Wanted
		if read(w, r, &question) {
			found, err := s.Trust.Find(r.Context(), question)
			reply(w, found, err)
		}
	})
}
