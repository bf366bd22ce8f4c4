package release

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/multiversion"
)

// Where upstream publishes.
const (
	BaseURLDefault = "https://github.com/tigerbeetle/tigerbeetle"
	APIURLDefault  = "https://api.github.com/repos/tigerbeetle/tigerbeetle"
)

// AssetSizeMax is the largest asset in bytes that is downloaded or read: the largest executable and
// some room for what stands around it.
const AssetSizeMax = archive.SizeMax + 32<<20

// Options say where to find a release and what must hold. The zero value is upstream's release for
// this host, over the network, without a cache.
type Options struct {
	Platform multiversion.Platform // empty: the host's
	Debug    bool                  // the debug build

	// Advisories are what is known of releases; nil: what is built in.
	Advisories *advisory.List

	// ExactPlatform says that Platform is also what a file must be for that is named by its path or URL, or is sent.
	ExactPlatform bool

	BaseURL string // of the GitHub project, empty: upstream's
	APIURL  string // of the project in GitHub's API, empty: upstream's
	// Token authenticates against the API, and is sent nowhere else. Blanks around it are left out. One that
	// is not taken is as good as none, and the result says so.
	Token string
	// StoreToken, or what the file StoreTokenFile has, goes as a bearer token to the host of Mirror, or, where there is no Mirror, to that of the
	// URL that is resolved, and to no other. Netrc is a file with users and passwords: what it has for the host of a mirror or a URL goes there,
	// unless the URL has a user or there is a token. Neither goes to GitHub for a release, nor along with a redirect to another host, nor
	// over plain http but to this host. A file that others may read is a [*CredentialsError].
	StoreToken     string
	StoreTokenFile string
	Netrc          string
	// Mirror takes GitHub's place for tags: an http, https or file URL in which {tag} and {asset} are
	// replaced (appended as /{tag}/{asset} when it has neither), or a directory that has TAG/ASSET or ASSET,
	// as a path or a file URL. A file URL that ends in /{tag}/{asset} is such a directory too, but ASSET
	// directly in it is not looked for.
	Mirror string
	// Stdin is read for "-".
	Stdin io.Reader

	// SHA256 is what the asset, or the executable in it, must hash to: 64 hexadecimal digits.
	SHA256 string
	// PublicKey is a minisign public key, either its base64 line or the whole file. When given, a
	// signature beside the asset is required.
	PublicKey string
	// AskGitHub requires GitHub's digest of the asset, also of one that a mirror or a directory has, unless the
	// artifact has no tag to ask by. For downloads from GitHub it is asked for, but not required, with a Token
	// and by RequireDigest without SHA256.
	AskGitHub bool
	// Require refuses bytes for which no evidence of that strength held.
	Require Require

	// CacheDir keeps what interrupted downloads have received, and answers of the API. Empty: nothing is kept.
	CacheDir string
	// Keep leaves in CacheDir what a Fetch that succeeded has received, too, as long as what is left of one
	// that was interrupted: the next Fetch of the same URL asks for its last byte only, unless the file there is another
	// by then.
	Keep bool
	// Held opens the executables of past releases that this host has. Where a server has the bare executable and sends parts of it under
	// a strong ETag, and a digest or a signature is there to compare the whole with, what of it this host has is not fetched; the result is the same to the byte, and is
	// judged as what was fetched whole. It is asked once the file's headers are known, and closed before Fetch
	// returns. Nil: there are none.
	Held func() *delta.Files
	// CAFile is a PEM file of certificates that are trusted besides the system's.
	CAFile string
	// Transport replaces the network, with its proxy settings and CAFile. Nil: HTTP_PROXY, HTTPS_PROXY
	// and NO_PROXY are honoured, and a malformed proxy is an ErrOption wherever the network is used.
	Transport http.RoundTripper
	// Gate is asked before each request is sent, also before those that redirects lead to: it may set headers of it, and its error
	// refuses it. Nil: none is refused.
	Gate func(*http.Request) error
	// UserAgent is what servers are told. Empty: "tbctl".
	UserAgent string
	Retry     Retry

	// Progress is called while bytes come in, with each read, and whenever a wait begins. It is called from
	// another goroutine than Fetch's, never twice at once, and not after Fetch has returned.
	Progress func(Progress)
}

// What [Retry] asks for, where nothing else is said.
const (
	IdleTimeoutDefault = 30 * time.Second // see [Retry.IdleTimeout]

	// What [Retry.Hurry] asks for.
	HurryAfter = 5 * time.Minute
	HurryRate  = 64 << 10 // bytes in a second
)

// Retry says how patient a download is. A zero field means its default.
type Retry struct {
	// IdleTimeout ends an attempt in which less than 16 KiB came in that time of waiting. Default [IdleTimeoutDefault].
	IdleTimeout time.Duration
	// Hurry ends a download by which something is kept waiting, such as who waits for the lock of a target: one for which was waited longer
	// than [HurryAfter], and of which less than [HurryRate] came in each second of that. What came is kept as ever.
	Hurry bool
	// Attempts is how often in a row may fail without progress. Default 6.
	Attempts int
	// AttemptsMax is how often may fail altogether. Default 100.
	AttemptsMax int
	// WaitMin and WaitMax bound the pauses, which grow from one to the other. Default 0.5 s and 30 s.
	WaitMin, WaitMax time.Duration
}

func (r Retry) withDefaults() Retry {
	r.IdleTimeout = positive(r.IdleTimeout, IdleTimeoutDefault)
	r.WaitMin = positive(r.WaitMin, 500*time.Millisecond)
	r.WaitMax = max(positive(r.WaitMax, 30*time.Second), r.WaitMin)
	r.Attempts = positive(r.Attempts, 6)
	r.AttemptsMax = max(positive(r.AttemptsMax, 100), r.Attempts)
	return r
}

func positive[T int | time.Duration](n, otherwise T) T {
	if n > 0 {
		return n
	}
	return otherwise
}

// Progress is how far a Fetch has come.
type Progress struct {
	Done    int64 // bytes of the asset, resumed ones included
	Total   int64 // bytes of the asset, -1 if unknown
	Attempt int   // requests so far, 0 for what is not downloaded
	// WaitUntil is when the next attempt begins, zero while bytes flow. Err is what made it necessary.
	WaitUntil time.Time
	Err       error
}

// check applies the defaults and refuses what cannot be used. The errors match ErrOption or ErrPlatform.
func (o *Options) check() (err error) {
	if o.Platform == "" {
		if o.Platform, err = HostPlatform(); err != nil {
			return err
		}
	} else if _, err = ParsePlatform(string(o.Platform)); err != nil {
		return err
	}
	if o.BaseURL == "" {
		o.BaseURL = BaseURLDefault
	}
	if o.APIURL == "" {
		o.APIURL = APIURLDefault
	}
	if o.UserAgent == "" {
		o.UserAgent = "tbctl"
	}
	o.Token = strings.TrimSpace(o.Token)
	if o.SHA256 != "" {
		if o.SHA256, err = sha.Parse(o.SHA256); err != nil {
			return fmt.Errorf("%w: the expected SHA-256: %w", ErrOption, err)
		}
	}
	if o.PublicKey != "" {
		if _, err := parsePublicKey(o.PublicKey); err != nil {
			return fmt.Errorf("%w: the public key: %w", ErrOption, err)
		}
		o.Require = RequireSignature
	}
	if err := o.Require.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrOption, err)
	}
	o.Retry = o.Retry.withDefaults()
	return nil
}
