package hints

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/release"
)

// TestHintAnswer tells a wrong password from a missing one, and a server's from a proxy's.
func TestHintAnswer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		answer release.HTTPError
		want   string
	}{
		{release.HTTPError{Status: http.StatusUnauthorized}, "credentials go into the URL"},
		{release.HTTPError{Status: http.StatusUnauthorized, Refused: true}, "check USER and PASSWORD in the URL"},
		{release.HTTPError{Status: http.StatusForbidden, Refused: true}, "check USER and PASSWORD in the URL"},
		{release.HTTPError{Status: http.StatusForbidden}, "check the URL"},
		{release.HTTPError{Status: http.StatusProxyAuthRequired}, "credentials go into the proxy's URL"},
		{release.HTTPError{Status: http.StatusProxyAuthRequired, Refused: true}, "check USER and PASSWORD in HTTPS_PROXY"},
		{release.HTTPError{Status: http.StatusUnauthorized, Refused: true, Proxy: true}, "check USER and PASSWORD in HTTPS_PROXY"},
		{release.HTTPError{Status: http.StatusNotFound, Proxy: true}, "check the URL, and whether a proxy stands in the way"},
		{release.HTTPError{Status: http.StatusNotFound}, "check the release"},
		{release.HTTPError{Status: http.StatusServiceUnavailable}, "run the same command again later"},
	} {
		if got := ofAnswer(&tc.answer); !strings.HasPrefix(got, tc.want) && !strings.Contains(got, tc.want) {
			t.Errorf("%+v: %q", tc.answer, got)
		}
	}
}

// TestHintUnavailable says how to do without what could not be had, where there is a way.
func TestHintUnavailable(t *testing.T) {
	t.Parallel()
	github := []release.Evidence{{Kind: release.EvidenceGitHubDigest, Status: release.StatusNotChecked}}
	down := &release.HTTPError{Status: http.StatusServiceUnavailable}
	for _, tc := range []struct {
		err  release.UnavailableError
		want []string
	}{
		{release.UnavailableError{Evidence: github, Err: down}, []string{"--github-digest=false", "again later"}},
		{release.UnavailableError{Evidence: github, Err: &release.RateLimitError{}}, []string{"when the limit is over", "GITHUB_TOKEN"}},
		{release.UnavailableError{Evidence: github, Err: &release.TokenError{Err: down}}, []string{"renew GITHUB_TOKEN"}},
		{release.UnavailableError{Require: release.RequireDigest, Err: down}, []string{"--sha256 HEX", "again later"}},
		{release.UnavailableError{Require: release.RequireSignature, Err: errors.New("x")}, []string{"check the network"}},
	} {
		got := ofUnavailable(&tc.err)
		for _, want := range tc.want {
			if !strings.Contains(got, want) {
				t.Errorf("%+v: %q", tc.err, got)
			}
		}
		if tc.err.Require == release.RequireSignature && strings.Contains(got, "--sha256") {
			t.Errorf("a digest is no signature: %q", got)
		}
	}
}
