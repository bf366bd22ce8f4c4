package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/release"
)

// A host fetches an artifact from a registry as it would from any server: by the URL of the blob, in parts of what it lacks. The
// URL comes from the other end, so it is fetched only where this host's own configuration names the registry, and only if it is that of the
// blob with the artifact's digest; so is each that a redirect leads to a registry of the configuration. The token goes with requests for
// that one URL, and is kept in memory alone.

const (
	registryTokenMax = 16 << 10 // bytes
	urlMax           = 2 << 10  // bytes

	blobPathBegin = "/v2/"
	blobPathEnd   = "/blobs/sha256:" // and the digest
)

// HowParts is what brought an artifact from a registry: what the host lacks was asked for in parts, or as a whole where the
// registry sends none.
const HowParts How = "parts"

// origin is the scheme, host and port of a URL; "": it is of another kind.
func origin(u *url.URL) string {
	port := u.Port()
	switch {
	case u.Scheme == "https" && port == "":
		port = "443"
	case u.Scheme == "http" && port == "":
		port = "80"
	case u.Scheme != "https" && u.Scheme != "http":
		return ""
	}
	if u.Hostname() == "" || u.User != nil || u.Opaque != "" {
		return ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + " " + port
}

// CheckRegistries refuses what is not each the https://HOST[:PORT] of a registry, or http://HOST[:PORT]; it is of class usage.
func CheckRegistries(values []string) error {
	for _, value := range values {
		u, err := url.Parse(value)
		if err != nil || len(value) > addressMax || origin(u) == "" || u.Scheme+"://"+u.Host != value {
			return fault.New(fault.Usage, fmt.Sprintf("%.80q is not https://HOST[:PORT], or http://HOST[:PORT]", value))
		}
	}
	return nil
}

// among says that a URL is of one of these registries.
func among(registries []string, u *url.URL) bool {
	return slices.ContainsFunc(registries, func(registry string) bool {
		known, err := url.Parse(registry)
		return err == nil && origin(known) != "" && origin(known) == origin(u)
	})
}

// blob is the URL, if it is that of the artifact in a registry that may be fetched from.
func (c *CopyRequest) blob(registries []string) (*url.URL, error) {
	u, err := url.Parse(c.URL)
	if err != nil || len(c.URL) > urlMax || origin(u) == "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.RawPath != "" || strings.Contains(u.Path, "..") ||
		!strings.HasPrefix(u.Path, blobPathBegin) || !strings.HasSuffix(u.Path, blobPathEnd+c.Artifact) {
		return nil, fault.New(fault.Usage, "the URL is not that of the artifact's blob in a registry")
	}
	if !among(registries, u) {
		place := u.Scheme + "://" + u.Host
		return nil, fault.New(fault.Refused, fmt.Sprintf("this host's configuration does not name the registry: registries = [%q]", place))
	}
	return u, nil
}

// fetch fetches the artifact from a registry. Whatever comes is compared with its SHA-256, and checked as what is sent is.
func (c *copying) fetch(ctx context.Context, h *Host, target string) error {
	u, err := c.blob(h.Registries)
	if err != nil {
		return err
	}
	c.answer.From, c.answer.How = u.Host, HowParts
	claim := release.Claim{Kind: release.EvidenceSHA256, Strength: release.RequireDigest, SHA256: c.Artifact, Of: "asset", Length: c.Size, Bounded: true}
	artifact, err := release.At(c.URL, release.About{Source: release.SourceRegistry}, release.Options{
		Held: func() *delta.Files { return &host.OpenHeld(h.Installer.FS, target, h.Store).Files }, CAFile: h.CAFile, UserAgent: "tbctl/" + h.Version, Gate: c.gate(u, h.Registries),
		Retry: release.Retry{IdleTimeout: bodyTimeout, Attempts: 2, AttemptsMax: 10, WaitMax: time.Second},
	}, vouched(claim))
	if err != nil {
		return fmt.Errorf("fetch from %s: %w", u.Host, err)
	}
	draft, err := durable.NewDraft(nil, 0, func() (durable.Store, error) { return c.store.Receive(c.Size) })
	if err != nil {
		return err
	}
	fetched, err := artifact.Fetch(ctx, draft)
	c.answer.Came, c.answer.There = fetched.BytesFetched, fetched.BytesHeld
	for _, note := range []string{fetched.HeldNote, fetched.HeldDamage, fetched.DeltaNote} {
		if note != "" {
			c.answer.LeftOut = append(c.answer.LeftOut, host.LeftOut{Why: note})
		}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("fetch from %s: %w", u.Host, err), draft.Abort())
	}
	c.answer.Artifact, err = shelf.Keep(ctx, draft.Store().(*depot.Writer), c.Artifact)
	return err
}

// gate lets requests for the blob through with the token, and without it those that a redirect leads to a registry of this host's
// configuration.
func (c *copying) gate(blob *url.URL, registries []string) func(*http.Request) error {
	return func(request *http.Request) error {
		request.Header.Del("Authorization")
		switch {
		case !among(registries, request.URL):
			return fmt.Errorf("%w: to %.80q, which this host's configuration does not name among its registries", release.ErrRedirect, request.URL.Host)
		case c.Token != "" && request.URL.String() == blob.String():
			request.Header.Set("Authorization", "Bearer "+c.Token)
		}
		return nil
	}
}

// vouched is what the controller says of an artifact.
type vouched release.Claim

// Ask implements [release.Voucher].
func (v vouched) Ask(context.Context, *release.Artifact) []release.Claim {
	return []release.Claim{release.Claim(v)}
}
