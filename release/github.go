package release

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

const (
	apiAnswerMax  = 16 << 20 // bytes of one answer
	apiPagesMax   = 10
	apiPageSize   = 100
	apiAssetsMax  = 1000 // of one release
	apiVersion    = "2022-11-28"
	apiMediaType  = "application/vnd.github+json"
	apiTagLatest  = "/releases/latest"
	apiTagPrefix  = "/releases/tags/"
	apiListPrefix = "/releases?per_page="
)

// A githubRelease is what the API says of a release.
type githubRelease struct {
	TagName     string        `json:"tag_name"`
	PublishedAt time.Time     `json:"published_at"`
	Prerelease  bool          `json:"prerelease"`
	Draft       bool          `json:"draft"`
	Assets      []githubAsset `json:"assets"`
}

type githubAsset struct {
	Name   string  `json:"name"`
	Size   int64   `json:"size"`
	Digest *string `json:"digest"` // null for what was uploaded before mid-2025
}

// An apiAnswer is a body with what the next request needs to know.
type apiAnswer struct {
	Body   json.RawMessage `json:"body"`
	ETag   string          `json:"etag"`
	Next   string          `json:"next,omitempty"` // URL of the next page
	cached bool            // the server said that it has not changed
}

// api makes one request to GitHub's API. With a cache directory an answer that has not changed is not
// sent again. Errors: [*RateLimitError], [*HTTPError], the transport's.
func (s *session) api(ctx context.Context, text string) (apiAnswer, error) {
	u, err := parseURL(text)
	if err != nil {
		return apiAnswer{}, err
	}
	header := http.Header{}
	header.Set("Accept", apiMediaType)
	header.Set("X-GitHub-Api-Version", apiVersion)
	if s.options.Token != "" {
		if u.Scheme != "https" && !loopback(u.Hostname()) {
			return apiAnswer{}, fmt.Errorf("%w: a token is not sent over plain http", ErrOption)
		}
		header.Set("Authorization", "Bearer "+s.options.Token)
	}
	cache := newAPICache(s.options.CacheDir, u)
	old, found := cache.load()
	if found {
		header.Set("If-None-Match", old.ETag)
	}
	var answer apiAnswer
	err = s.trying(ctx, func() error {
		answer, err = s.apiOnce(ctx, u, header)
		return err
	})
	if err != nil {
		return apiAnswer{}, err
	}
	if answer.cached {
		if !found {
			return apiAnswer{}, protocolError("%s: not modified, but nothing was asked to be compared", redacted(u))
		}
		old.cached = true
		return old, nil
	}
	cache.save(answer)
	return answer, nil
}

func (s *session) apiOnce(ctx context.Context, u *url.URL, header http.Header) (apiAnswer, error) {
	resp, err := s.client.get(ctx, u, header)
	if err != nil {
		return apiAnswer{}, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified:
		return apiAnswer{cached: true}, nil
	case resp.StatusCode != http.StatusOK:
		if limit := rateLimit(resp, s.options.Token != ""); limit != nil {
			return apiAnswer{}, limit
		}
		return apiAnswer{}, answerError(resp, "")
	}
	b, err := readBounded(resp.Body, apiAnswerMax)
	if err != nil {
		return apiAnswer{}, err
	}
	if !json.Valid(b) {
		return apiAnswer{}, protocolError("%s: the answer is no JSON", redacted(u))
	}
	return apiAnswer{Body: b, ETag: resp.Header.Get("ETag"), Next: nextPage(resp.Header.Get("Link"))}, nil
}

// rateLimit recognizes GitHub's two ways of saying "too many": a used up hourly limit, and a request to
// slow down.
func rateLimit(resp *http.Response, authenticated bool) error {
	if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusTooManyRequests {
		return nil
	}
	after := retryAfter(resp.Header, time.Now())
	if resp.Header.Get("X-RateLimit-Remaining") != "0" && after == 0 {
		return nil
	}
	e := &RateLimitError{Authenticated: authenticated}
	if n, err := strconv.ParseUint(resp.Header.Get("X-RateLimit-Limit"), 10, 31); err == nil {
		e.Limit = int(n)
	}
	if n, err := strconv.ParseUint(resp.Header.Get("X-RateLimit-Reset"), 10, 40); err == nil {
		e.Reset = time.Unix(int64(n), 0).UTC()
	}
	if after > 0 {
		e.Reset = time.Now().Add(after).UTC().Truncate(time.Second)
	}
	return e
}

// nextPage finds the next page's URL in a Link header, "" when this is the last.
func nextPage(link string) string {
	if len(link) > 8<<10 {
		return ""
	}
	found := regexp.MustCompile(`<([^<>]*)>; *rel="next"`).FindStringSubmatch(link)
	if found == nil {
		return ""
	}
	return found[1]
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// githubRelease asks for one release, by its tag or the newest.
func (s *session) githubRelease(ctx context.Context, tag Tag) (githubRelease, error) {
	text := s.options.APIURL + apiTagPrefix + string(tag)
	if tag == Latest {
		text = s.options.APIURL + apiTagLatest
	}
	answer, err := s.api(ctx, text)
	if err != nil {
		return githubRelease{}, err
	}
	var r githubRelease
	if err := json.Unmarshal(answer.Body, &r); err != nil {
		return r, protocolError("the API's answer: %v", err)
	}
	if tag != Latest && r.TagName != string(tag) {
		return r, protocolError("the API answered with release %.40q for %s", r.TagName, tag)
	}
	return r, nil
}

// pinLatest replaces "latest" by the tag that it stands for when the API is asked anyway, so that the
// digest and the bytes are of the same release. On an error it stays: the direct URL works too, but there
// is no digest for what comes from it.
func (a *Artifact) pinLatest(ctx context.Context, s *session, f *Fetched) error {
	if a.Source != SourceGitHub || a.Tag != Latest || !a.wantsGitHubDigest() {
		return nil
	}
	r, err := s.githubRelease(ctx, Latest)
	if err != nil {
		return err
	}
	tag, err := ParseTag(r.TagName)
	if err != nil || tag == Latest {
		return fmt.Errorf("the API says that the newest release is %.40q, which is no tag known here", r.TagName)
	}
	pinned, err := Resolve(string(tag), a.options)
	if err != nil {
		return err
	}
	*a = pinned
	f.Tag, f.Location = tag, a.Location
	return nil
}

// githubClaim is what the API says of the asset. For "latest", which pinLatest could not replace because
// of unpinned, it says nothing: the newest release may be another one when the bytes come.
func (a *Artifact) githubClaim(ctx context.Context, s *session, unpinned error) claim {
	c := claim{kind: EvidenceGitHubDigest, length: -1}
	if a.Tag == Latest {
		return c.unavailable(unpinned, "the API knows no newest release")
	}
	r, err := s.githubRelease(ctx, a.Tag)
	if err != nil {
		return c.unavailable(err, fmt.Sprintf("the API knows no release %s", a.Tag))
	}
	for _, asset := range r.Assets[:min(len(r.Assets), apiAssetsMax)] {
		if asset.Name != a.Asset {
			continue
		}
		c.length = asset.Size
		if asset.Digest == nil || *asset.Digest == "" {
			c.status, c.detail = StatusAbsent, "the API has no digest of this asset (those before mid-2025 may lack one)"
		} else if c.sha256, err = ParseSHA256(*asset.Digest); err != nil {
			c.status, c.detail = StatusNotChecked, fmt.Sprintf("the API's digest is %.80q, not a SHA-256", *asset.Digest)
		}
		return c
	}
	c.status, c.detail = StatusAbsent, fmt.Sprintf("the API knows no asset %s of release %s", a.Asset, r.TagName)
	return c
}
