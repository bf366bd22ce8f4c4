package hints

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/release"
)

const (
	// carry is the way that needs no network.
	carry = `or carry the file: "tbctl download RELEASE" on a host that has a way, then "tbctl install FILE" here`

	hintRedirect = "give the address where the file really is, with https; " + carry
	hintSlow     = `fetch it first, which locks nothing and may take any time: "tbctl download RELEASE -o FILE", then "tbctl install FILE"`
	hintWay      = "check the network and HTTPS_PROXY, use --mirror, " + carry
)

// ofNetwork says what to do about a request or a download that failed, by what
// ended it. kept is whether the next run goes on where it stopped.
func ofNetwork(err error, kept bool) string {
	var answer *release.HTTPError
	var certificate *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var name *net.DNSError
	switch {
	case errors.Is(err, release.ErrSlow):
		return hintSlow
	case errors.As(err, &unknown):
		return "name the authority that signed the server's certificate: --ca-file FILE"
	case errors.As(err, &certificate):
		return "the server's certificate is not one for this name and time: check the URL and this host's clock"
	case errors.Is(err, release.ErrRedirect):
		return hintRedirect
	case errors.As(err, &answer):
		return ofAnswer(answer)
	case kept:
		return "run the same command again: it goes on where it stopped"
	case errors.As(err, &name), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "has this host a way to it? Set HTTPS_PROXY, use --mirror, " + carry
	}
	return hintWay
}

const hintToken = "renew GITHUB_TOKEN, or unset it: releases are public, and without a token GitHub's API answers 60 requests an hour"

// ofToken is about a request that GitHub's API answered neither with the token nor without.
func ofToken(err *release.TokenError) string {
	if err.Hidden {
		return "check the release; of a private repository GITHUB_TOKEN must have the right to read the contents"
	}
	return hintToken
}

// ofUnavailable says when to try again, and how to do without what could not be had.
func ofUnavailable(err *release.UnavailableError) string {
	var token *release.TokenError
	var limit *release.RateLimitError
	var path *fs.PathError
	first := ofNetwork(err.Err, false)
	switch {
	case errors.As(err, &path):
		first = "make it readable, or remove it: ls -l " + shell.File(path.Path)
	case errors.As(err, &token):
		first = ofToken(token)
	case errors.As(err, &limit):
		first = "run the same command again when the limit is over"
		if !limit.Authenticated {
			first += ", or set GITHUB_TOKEN"
		}
	}
	github := slices.ContainsFunc(err.Evidence, func(e release.Evidence) bool {
		return e.Kind == release.EvidenceGitHubDigest && e.Status == release.StatusNotChecked
	})
	switch {
	case err.Require == release.RequireSignature:
		return first
	case github:
		return first + "; with a digest from elsewhere it goes without GitHub: --sha256 HEX --github-digest=false"
	}
	return first + "; a digest that you have is enough: --sha256 HEX"
}

// ofAnswer is about a server's final answer.
func ofAnswer(answer *release.HTTPError) string {
	switch {
	case errors.Is(answer, release.ErrNotFound):
		return "check the release, the platform and the mirror's URL; without --mirror, tbctl releases lists what there is"
	case answer.Refused && (answer.Status == http.StatusProxyAuthRequired || answer.Proxy && answer.Status == http.StatusUnauthorized):
		return "check USER and PASSWORD in HTTPS_PROXY: in a password / is written %2F, @ is written %40, % is written %25"
	case answer.Refused && !answer.Proxy && (answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden):
		return "check USER and PASSWORD in the URL: in a password / is written %2F, @ is written %40, % is written %25"
	case answer.Status == http.StatusUnauthorized:
		return "credentials go into the URL, https://USER:PASSWORD@HOST/…, those of a proxy into HTTPS_PROXY; they are shown nowhere"
	case answer.Status == http.StatusProxyAuthRequired:
		return "credentials go into the proxy's URL: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"
	case answer.Status == http.StatusTooManyRequests, answer.Status >= http.StatusInternalServerError:
		return "the server cannot answer now: run the same command again later, use --mirror, " + carry
	}
	return "check the URL, and whether a proxy stands in the way; " + carry
}

// ofKind is about a source that has something else than a release.
func ofKind(kind *release.KindError) string {
	switch {
	case strings.Contains(kind.Location, "://"):
		return "look at what the server sends: a proxy's or an error page?"
	case kind.Location == "-":
		return "look at what is sent: did the command before the pipe, or the connection, fail?"
	}
	return "give a release archive, or the executable in it"
}
