package release

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/sha"
)

const (
	apiAnswerMax  = 8 << 20 // bytes of one answer; a hundred releases take less than half of it
	apiPagesMax   = 10
	apiPageSize   = 100
	apiAssetsMax  = 100 // of one release
	apiTextMax    = 256 // bytes of a name
	apiVersion    = "2022-11-28"
	apiMediaType  = "application/vnd.github+json"
	apiTagLatest  = "/releases/latest"
	apiTagPrefix  = "/releases/tags/"
	apiListPrefix = "/releases?per_page="
)

// A githubRelease is what the API says of a release.
type githubRelease struct {
	TagName     string       `json:"tag_name"`
	PublishedAt time.Time    `json:"published_at"`
	Prerelease  bool         `json:"prerelease"`
	Draft       bool         `json:"draft"`
	Assets      githubAssets `json:"assets"`
}

type githubAsset struct {
	Name   string  `json:"name"`
	Size   int64   `json:"size"`
	Digest *string `json:"digest"` // null for what was uploaded before mid-2025
}

// githubAssets are those of one release. What is more than a release ever has is not kept.
type githubAssets []githubAsset

func (g *githubAssets) UnmarshalJSON(b []byte) error {
	*g = nil
	if string(b) == "null" {
		return nil
	}
	_, err := decodeList(json.NewDecoder(bytes.NewReader(b)), apiAssetsMax, func(a githubAsset) {
		if len(a.Name) <= apiTextMax {
			*g = append(*g, a)
		}
	})
	return err
}

// decodeList reads an array one element at a time, so that no more is held than is kept. After most of them
// it stops and reports that there are more.
func decodeList[T any](d *json.Decoder, most int, keep func(T)) (more bool, err error) {
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return false, errors.Join(err, errors.New("a list is missing"))
	}
	for n := 0; d.More(); n++ {
		if n == most {
			return true, nil
		}
		var element T
		if err := d.Decode(&element); err != nil {
			return false, err
		}
		keep(element)
	}
	_, err = d.Token()
	return false, err
}

// An apiAnswer is what an answer of the API says, with what the next request needs to know.
type apiAnswer struct {
	Releases []githubRelease `json:"releases"`
	More     bool            `json:"more,omitempty"` // it had more of them than are kept
	ETag     string          `json:"etag"`
	Next     string          `json:"next,omitempty"` // URL of the next page

	unchanged bool // the server said that it is as it was
}

// api makes one request to GitHub's API, for one release or for a list. With a cache directory an answer that
// has not changed is not sent again. A token that is not taken is left out, then and from then on: the
// releases are public. Errors: [*RateLimitError], [*HTTPError], [*TokenError], the transport's.
func (s *session) api(ctx context.Context, text string, list bool) (apiAnswer, error) {
	u, err := parseURL(text)
	if err != nil {
		return apiAnswer{}, err
	}
	token := s.options.Token
	if token != "" && s.refusal == "" && !isToken(token) {
		s.refusal = "it has characters that are in no token"
	}
	if token == "" || s.refusal != "" {
		return s.apiWith(ctx, u, "", list)
	}
	if u.Scheme != "https" && !loopback(u.Hostname()) {
		return apiAnswer{}, fmt.Errorf("%w: a token is not sent over plain http", ErrOption)
	}
	answer, err := s.apiWith(ctx, u, token, list)
	var refusal *HTTPError
	if !errors.As(err, &refusal) || !refusesToken(refusal.Status) {
		return answer, err
	}
	answer, err = s.apiWith(ctx, u, "", list)
	var again *HTTPError
	same := errors.As(err, &again) && again.Status == refusal.Status
	if same && again.Status == http.StatusForbidden {
		return answer, err // it is not the token
	}
	why := fmt.Sprintf("%s answered %d %s", refusal.URL, refusal.Status, http.StatusText(refusal.Status))
	hidden := refusal.Status == http.StatusNotFound
	if !hidden || err == nil {
		s.refusal = why
	}
	if err != nil && ctx.Err() == nil {
		err = &TokenError{Refusal: why, Hidden: hidden, Err: err}
	}
	return answer, err
}

// refusesToken reports whether an answer may be due to the token. Of what a token may not read GitHub says that it
// is not there.
func refusesToken(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound
}

// isToken reports whether a text can be sent as a token.
func isToken(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

func (s *session) apiWith(ctx context.Context, u *url.URL, token string, list bool) (apiAnswer, error) {
	header := http.Header{}
	header.Set("Accept", apiMediaType)
	header.Set("X-GitHub-Api-Version", apiVersion)
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	cache := newAPICache(s.options.CacheDir, u)
	old, found := cache.load()
	if found {
		header.Set("If-None-Match", old.ETag)
	}
	var answer apiAnswer
	err := s.trying(ctx, "", u, header, func(resp *http.Response) (err error) {
		answer, err = readAnswer(resp, token != "", list)
		return err
	})
	switch {
	case err != nil:
		return apiAnswer{}, err
	case answer.unchanged && !found:
		return apiAnswer{}, protocolError("%s: not modified, but nothing was asked to be compared", redacted(u))
	case answer.unchanged:
		return old, nil
	}
	cache.save(answer)
	return answer, nil
}

// readAnswer reads releases while they come. Of an answer of any size no more than a few MiB are held.
func readAnswer(resp *http.Response, authenticated, list bool) (apiAnswer, error) {
	switch {
	case resp.StatusCode == http.StatusNotModified:
		return apiAnswer{unchanged: true}, nil
	case resp.StatusCode != http.StatusOK:
		if limit := rateLimit(resp, authenticated); limit != nil {
			return apiAnswer{}, limit
		}
		return apiAnswer{}, answerError(resp, "")
	}
	answer := apiAnswer{Releases: []githubRelease{}, ETag: resp.Header.Get("ETag"), Next: nextPage(resp.Header.Get("Link"))}
	body := &bounded{src: resp.Body, left: apiAnswerMax}
	decoder, err := json.NewDecoder(body), error(nil)
	keep := func(r githubRelease) { answer.Releases = append(answer.Releases, r) }
	if list {
		answer.More, err = decodeList(decoder, listedMax, keep)
	} else {
		var r githubRelease
		if err = decoder.Decode(&r); err == nil {
			keep(r)
		}
	}
	switch {
	case body.err != nil && body.err != io.EOF:
		return apiAnswer{}, body.err
	case err != nil:
		return apiAnswer{}, protocolError("the API's answer: %.200v", fault.JSON(err))
	}
	return answer, nil
}

// A bounded reader remembers what ended it, and makes no sense of more bytes than an answer may have.
type bounded struct {
	src  io.Reader
	left int64
	err  error
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.src.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		n, err = n-1, protocolError("an answer of the API has more than %d bytes", apiAnswerMax)
	}
	b.err = err
	return n, err
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
	answer, err := s.api(ctx, text, false)
	if err != nil {
		return githubRelease{}, err
	}
	if len(answer.Releases) != 1 {
		return githubRelease{}, protocolError("the API answered with %d releases for one", len(answer.Releases))
	}
	r := answer.Releases[0]
	if tag != Latest && r.TagName != string(tag) {
		return r, protocolError("the API answered with release %.40q for %s", r.TagName, tag)
	}
	return r, nil
}

// pinLatest replaces "latest" by the tag that it stands for when the API is asked anyway, so that the
// digest and the bytes are of the same release. Where it cannot be found out it stays, with the reason: the direct
// URL works too, but there is no digest for what comes from it.
func (a *Artifact) pinLatest(ctx context.Context) {
	if a.Source != SourceGitHub || a.Tag != Latest || !a.wantsGitHubDigest() {
		return
	}
	r, err := a.session.githubRelease(ctx, Latest)
	if err != nil {
		a.unpinned = err
		return
	}
	tag, err := ParseTag(r.TagName)
	if err != nil || tag == Latest {
		a.unpinned = protocolError("the API says that the newest release is %.40q, which is no tag known here", r.TagName)
		return
	}
	a.Tag = tag
	a.unpinned = a.onGitHub()
}

// NamesRelease reports whether GitHub can be asked about the artifact. Of "latest" on a mirror it cannot: that may
// be another release.
func (a Artifact) NamesRelease() bool {
	return a.Source == SourceGitHub || a.Tag != "" && a.Tag != Latest
}

// wantsGitHubDigest reports whether the API is asked. For the same tag on a mirror it is only when the
// caller says so, because a mirror is there for hosts that do not reach GitHub.
func (a *Artifact) wantsGitHubDigest() bool {
	o := a.options
	if a.Source != SourceGitHub {
		return o.AskGitHub && a.NamesRelease() && !a.Source.judged()
	}
	return o.AskGitHub || o.Token != "" || o.Require == RequireDigest && o.SHA256 == ""
}

// A githubDigest is what GitHub's API says of the asset.
type githubDigest struct{}

// Ask asks the API about the release. For "latest", which pinLatest could not replace, it claims nothing: the
// newest release may be another one when the bytes come.
func (githubDigest) Ask(ctx context.Context, a *Artifact) []Claim {
	c := digestClaim(EvidenceGitHubDigest, ofAsset)
	if !a.NamesRelease() {
		return []Claim{c.settled(StatusNotChecked, "GitHub is asked by the name of a release, and %s names none", a.Place())}
	}
	c.Asked = a.options.AskGitHub
	if a.Tag == Latest {
		return []Claim{c.missing(a.unpinned, "the API knows no newest release")}
	}
	r, err := a.session.githubRelease(ctx, a.Tag)
	if err != nil {
		return []Claim{c.missing(err, fmt.Sprintf("the API knows no release %s", a.Tag))}
	}
	for _, asset := range r.Assets {
		if asset.Name != a.Asset {
			continue
		}
		c.Length = asset.Size
		if asset.Digest == nil || *asset.Digest == "" {
			return []Claim{c.settled(StatusAbsent, "GitHub gives no digest for it (assets from before mid-2025 may lack one)")}
		}
		if c.SHA256, err = sha.Parse(*asset.Digest); err != nil {
			c = c.settled(StatusNotChecked, "the API's digest is %.80q, not a SHA-256", *asset.Digest)
		}
		return []Claim{c}
	}
	return []Claim{c.settled(StatusAbsent, "the API knows no asset %s of release %s", a.Asset, r.TagName)}
}
