package hints

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
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
		return ofRefused(answer.From)
	case answer.Status == http.StatusUnauthorized:
		return hintCredentials
	case answer.Status == http.StatusProxyAuthRequired:
		return "credentials go into the proxy's URL: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"
	case answer.Status == http.StatusTooManyRequests, answer.Status >= http.StatusInternalServerError:
		return "the server cannot answer now: run the same command again later, use --mirror, " + carry
	}
	return "check the URL, and whether a proxy stands in the way; " + carry
}

const hintCredentials = "credentials go into ~/.netrc (machine HOST login USER password PASSWORD), a token into the file of --token-file FILE, or both into the URL, " +
	"https://USER:PASSWORD@HOST/…; those of a proxy into HTTPS_PROXY. They are shown nowhere"

// ofRefused is about credentials that a server does not take.
func ofRefused(from string) string {
	switch {
	case from == "the URL", from == "":
		return "check USER and PASSWORD in the URL: in a password / is written %2F, @ is written %40, % is written %25"
	case strings.HasPrefix(from, "the token"):
		return "check the token: has it expired, or does it lack the right to read there?"
	}
	return "check the entry of the server in " + shell.File(from)
}

// ofCredentials is about credentials that cannot be used.
func ofCredentials(err *release.CredentialsError) string {
	file := shell.File(err.Path)
	without := ""
	if strings.HasSuffix(err.Path, "netrc") {
		without = "; without credentials: NETRC=/dev/null tbctl …"
	}
	switch {
	case errors.Is(err, release.ErrReadable):
		return "chmod 600 " + file + without
	case errors.Is(err, release.ErrPlain):
		return "name the store by https://; credentials that everybody on the way may see go into the URL: http://USER:PASSWORD@HOST/…" + without
	case errors.Is(err, release.ErrNetrc):
		return "an entry of a netrc file is: machine HOST login USER password PASSWORD, each word in double quotes where it has blanks" + without
	case errors.Is(err, release.ErrNoToken):
		return "write the token alone into it, in one line"
	}
	return "check the name; tbctl config shows which flag, variable or file says it" + without
}

// ofScheme says how to get what another program knows the way to.
func (k *Known) ofScheme(err *release.SchemeError) string {
	text := shell.Word(err.Text)
	rest := err.Text[strings.Index(err.Text, "://")+len("://"):]
	pipe := func(command string) string { return "send it: " + command + " | tbctl " + k.Command + " -" }
	switch {
	case err.Scheme == "oci" || err.Scheme == "docker":
		return ofRegistry(rest)
	case strings.HasPrefix(err.Scheme, "tuf+"):
		return "tbctl store import RELEASE --from " + text + ", then name it store:RELEASE"
	case err.Mirror && err.Scheme == "s3":
		return "by its address over https: --mirror https://BUCKET.s3.REGION.amazonaws.com/…/{tag}/{asset}; or copied first: aws s3 sync " + text + " DIR, then --mirror DIR"
	case err.Mirror && err.Scheme == "gs":
		return "by its address over https: --mirror https://storage.googleapis.com/BUCKET/…/{tag}/{asset}; or copied first: gcloud storage rsync -r " + text + " DIR, then --mirror DIR"
	case err.Mirror:
		return "copy it first, and name the directory: --mirror DIR"
	case err.Scheme == "s3":
		return "by a URL that is signed for it: tbctl " + k.Command + ` "$(aws s3 presign ` + text + `)"; or ` + pipe("aws s3 cp "+text+" -")
	case err.Scheme == "gs":
		return pipe("gcloud storage cat " + text)
	}
	return pipe("curl -sSf " + text)
}

// ofRegistry is about an artifact of a registry, by its reference without a scheme.
func ofRegistry(reference string) string {
	return "tbctl-engines gets it from a registry: tbctl store import --from " + shell.Word("oci://"+reference) + ", then name it store:RELEASE"
}

// registryReference matches what docker calls an image in a registry: a host with a dot or a port, a repository, and a tag or digest.
var registryReference = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:[a-z0-9-]+(?:\.[a-z0-9-]+)+|localhost)(?::[0-9]+)?/[a-z0-9][a-z0-9._/-]*(?::[A-Za-z0-9_.-]+)?(?:@sha256:[0-9a-f]{64})?$`)
})

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
