package release

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/tbctl/tbctl/internal/sha"
)

// errAtSign is said of a URL that reads like one with a password in which a slash was not escaped.
var errAtSign = errors.New("an @ after the first slash: in a password / is written %2F, in a path @ is written %40")

// redacted shows a URL without what may be secret in it. A path that may be the end of a password is left
// out too.
func redacted(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	if misread(u) {
		shown.Path, shown.RawPath = "/...", ""
	}
	return shown.String()
}

// Redact takes user, password, query and fragment out of a text that has a URL at its end, as
// "--mirror=https://…" does. What may be the rest of a password with a slash in it goes too. Any other
// text is returned as it is.
func Redact(text string) string {
	if !looksLikeURL(text) {
		return text
	}
	if place, digest, is := cutDigest(text); is {
		return Redact(place) + digest
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok { // mistyped: who knows what follows
		scheme, _, _ = strings.Cut(text, ":")
		return scheme + ":..."
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host, path := rest[:end], rest[end:]
	if strings.ContainsAny(host, "@:") && strings.Contains(path, "@") {
		return scheme + "://..."
	}
	host = host[strings.LastIndex(host, "@")+1:]
	path, _, _ = strings.Cut(path, "?")
	path, _, _ = strings.Cut(path, "#")
	return scheme + "://" + host + path
}

// cutDigest takes the @sha256:HEX from the end of an artifact's name in a registry.
func cutDigest(text string) (place, digest string, is bool) {
	at := strings.LastIndexByte(text, '@')
	if !strings.Contains(text, "oci://") || at < 0 || !sha.IsName(text[at+1:]) {
		return text, "", false
	}
	return text[:at], text[at:], true
}

// misread reports whether a URL's host may be the begin of "USER:PASSWORD@HOST" that ended at a slash,
// question mark or hash in the password: something that looks like a user or port, and an @ after it.
func misread(u *url.URL) bool {
	if u.User == nil && u.Port() == "" {
		return false
	}
	path := u.EscapedPath()
	return strings.Contains(path, "@") || path == "" && strings.Contains(u.RawQuery+u.Fragment, "@")
}

// looksLikeURL tells a URL, a mistyped one too, from a path: its text is never repeated.
func looksLikeURL(text string) bool {
	scheme, _, found := strings.Cut(strings.ToLower(text), ":")
	return strings.Contains(text, "://") || found && (scheme == "http" || scheme == "https" || scheme == "file")
}

// schemeOf names a URL's scheme, for an error that says what it should be. What stands before a colon may also be a user's name.
func schemeOf(u *url.URL) string {
	if u.Scheme == "" || u.Opaque != "" || u.Host == "" || u.User != nil {
		return "another scheme"
	}
	return fmt.Sprintf("the scheme %.20q", u.Scheme)
}

// A discreetTransport replaces the errors in which net/http repeats what a server sent: a location may
// carry a password or a signature.
type discreetTransport struct{ transport http.RoundTripper }

func (d discreetTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := d.transport.RoundTrip(req)
	if err != nil {
		var malformed textproto.ProtocolError
		if errors.As(err, &malformed) {
			return nil, errors.New("the server's answer has malformed headers")
		}
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		if _, err := req.URL.Parse(resp.Header.Get("Location")); err != nil {
			resp.Body.Close()
			return nil, fmt.Errorf("%w: its location cannot be parsed", ErrRedirect)
		}
	}
	return resp, nil
}
