package hints

import (
	"errors"
	"io/fs"
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
		{release.HTTPError{Status: http.StatusUnauthorized}, "credentials go into ~/.netrc"},
		{release.HTTPError{Status: http.StatusUnauthorized, Refused: true}, "check USER and PASSWORD in the URL"},
		{release.HTTPError{Status: http.StatusUnauthorized, Refused: true, From: "the URL"}, "check USER and PASSWORD in the URL"},
		{release.HTTPError{Status: http.StatusUnauthorized, Refused: true, From: "/root/.netrc"}, "check the entry of the server in /root/.netrc"},
		{release.HTTPError{Status: http.StatusForbidden, Refused: true, From: "the token in /t"}, "check the token"},
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

// TestHintElsewhere says how to get what other programs know the way to.
func TestHintElsewhere(t *testing.T) {
	t.Parallel()
	known := Known{Command: "install"}
	for _, tc := range []struct {
		err  release.SchemeError
		want string
	}{
		{release.SchemeError{Scheme: "s3", Text: "s3://bucket/x.zip"}, `tbctl install "$(aws s3 presign s3://bucket/x.zip)"; or send it: aws s3 cp s3://bucket/x.zip - | tbctl install -`},
		{release.SchemeError{Scheme: "s3", Text: "s3://bucket/$(x)"}, `presign 's3://bucket/$(x)')`},
		{release.SchemeError{Scheme: "s3", Text: "s3://bucket/dir", Mirror: true}, "--mirror https://BUCKET.s3.REGION.amazonaws.com/"},
		{release.SchemeError{Scheme: "gs", Text: "gs://bucket/x.zip"}, "gcloud storage cat gs://bucket/x.zip | tbctl install -"},
		{release.SchemeError{Scheme: "gs", Text: "gs://bucket/x", Mirror: true}, "--mirror https://storage.googleapis.com/"},
		{release.SchemeError{Scheme: "sftp", Text: "sftp://host/x.zip"}, "curl -sSf sftp://host/x.zip | tbctl install -"},
		{release.SchemeError{Scheme: "ftp", Text: "ftp://host/x", Mirror: true}, "--mirror DIR"},
		{release.SchemeError{Scheme: "oci", Text: "oci://registry.test/tb:0.17.8"}, "tbctl store import --from oci://registry.test/tb:0.17.8"},
		{release.SchemeError{Scheme: "docker", Text: "docker://ghcr.io/a/tb", Mirror: true}, "tbctl store import --from oci://ghcr.io/a/tb"},
		{release.SchemeError{Scheme: "tuf+https", Text: "tuf+https://tuf.test/p"}, "tbctl store import RELEASE --from tuf+https://tuf.test/p"},
	} {
		if hint, _ := known.Explain(&tc.err, tc.err.Class()); !strings.Contains(hint, tc.want) {
			t.Errorf("%+v: %q", tc.err, hint)
		}
	}
	for name, registry := range map[string]bool{
		"ghcr.io/acme/tigerbeetle:0.17.8": true, "localhost:5000/tb": true, "registry.test:5000/a/b@sha256:" + strings.Repeat("0", 64): true,
		"releases/x.zip": false, "./ghcr.io/x": false, "../x.y/z": false, "/a.b/c": false, "x.zip": false,
	} {
		if got := strings.Contains(Missing(name), "tbctl store import --from oci://"+name); got != registry {
			t.Errorf("%s: %q", name, Missing(name))
		}
	}
}

// TestHintCredentials says how to mend what credentials are in, and how to do without.
func TestHintCredentials(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		path      string
		why       error
		want      string
		unwithout bool
	}{
		{"/root/.netrc", release.ErrReadable, "chmod 600 /root/.netrc", false},
		{"/etc/tbctl/token", release.ErrReadable, "chmod 600 /etc/tbctl/token", true},
		{"", release.ErrPlain, "https://", true},
		{"/root/.netrc", release.ErrNetrc, "machine HOST login USER password PASSWORD", false},
		{"/etc/tbctl/token", release.ErrNoToken, "the token alone", true},
		{"/etc/tbctl/token", fs.ErrNotExist, "check the name", true},
	} {
		got := ofCredentials(&release.CredentialsError{Path: tc.path, Host: "store.test", Err: tc.why})
		if !strings.Contains(got, tc.want) || strings.Contains(got, "NETRC=/dev/null") == tc.unwithout {
			t.Errorf("%s, %v: %q", tc.path, tc.why, got)
		}
	}
}
