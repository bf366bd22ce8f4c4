package release

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/vfs"
)

const (
	netrcSizeMax = 256 << 10 // bytes
	tokenSizeMax = 16 << 10  // bytes
)

// A CredentialsError says why credentials for a store of artifacts cannot be used. It has no part of them.
type CredentialsError struct {
	Path string // of the file; "": they are from the environment
	Host string // that they are for
	Err  error
}

func (e *CredentialsError) Error() string {
	from := e.Path
	if from == "" {
		from = "the environment"
	}
	return fmt.Sprintf("credentials for %s from %s: %v", e.Host, from, e.Err)
}

func (e *CredentialsError) Unwrap() error { return e.Err }

// Class is [fault.Usage].
func (e *CredentialsError) Class() fault.Class { return fault.Usage }

// Why credentials cannot be used.
var (
	// ErrReadable says that others may read the file.
	ErrReadable = errors.New("others may read the file")
	// ErrPlain says that everybody on the way would see them.
	ErrPlain = errors.New("they are not sent over plain http")
	// ErrNetrc says that a file is no netrc.
	ErrNetrc = errors.New("it cannot be read as a netrc file")
	// ErrNoToken says that a text is no token.
	ErrNoToken = errors.New("it is no token: empty, or with blanks or other characters that are in none")
)

// credentials are what goes with the requests to one host, and to no other. The zero value is none.
type credentials struct {
	origin string // the scheme, host and port of the URLs
	header string
	from   string // where they are from, for people
}

// originOf is who answers for a URL.
func originOf(u *url.URL) string { return u.Scheme + "://" + u.Host }

// are reports whether they are for the URL.
func (c credentials) are(u *url.URL) bool { return c.header != "" && c.origin == originOf(u) }

// credentials finds those for the place that the operator has named, a mirror or a URL: a token, where it is for that, and otherwise what the
// netrc file says of its host. The errors are [*CredentialsError].
func (s *session) credentials() (credentials, error) {
	u := s.place
	if u == nil || u.User != nil || u.Scheme == "file" {
		return credentials{}, nil
	}
	c, path, err := s.findCredentials(u)
	if err == nil && c.header != "" && u.Scheme != "https" && !loopback(u.Hostname()) {
		err = ErrPlain
	}
	if err != nil {
		return credentials{}, &CredentialsError{path, u.Hostname(), err}
	}
	c.origin = originOf(u)
	return c, nil
}

func (s *session) findCredentials(u *url.URL) (c credentials, path string, err error) {
	o := s.options
	token := o.StoreToken
	if !s.tokenFor(u) {
		return netrcCredentials(o.Netrc, u.Hostname())
	}
	switch {
	case o.StoreTokenFile != "":
		text, err := readSecret(o.StoreTokenFile, tokenSizeMax)
		if err != nil {
			return c, o.StoreTokenFile, err
		}
		token, path, c.from = string(text), o.StoreTokenFile, "the token in "+o.StoreTokenFile
	case token != "":
		c.from = "the token of the environment"
	default:
		return netrcCredentials(o.Netrc, u.Hostname())
	}
	if token = strings.TrimSpace(token); token == "" || !isToken(token) {
		return c, path, ErrNoToken
	}
	c.header = "Bearer " + token
	return c, path, nil
}

// tokenFor reports whether the token is for the place: that of the mirror, or where there is none any that is named.
func (s *session) tokenFor(u *url.URL) bool {
	if s.options.Mirror == "" {
		return true
	}
	m, err := parseMirror(s.options.Mirror)
	if err != nil || m.template == "" {
		return false
	}
	mirror, err := parseURL(m.expand("0.0.0", "asset"))
	return err == nil && originOf(mirror) == originOf(u)
}

// netrcCredentials are the user and password that a netrc file has for a host.
func netrcCredentials(path, host string) (credentials, string, error) {
	if path == "" || path == os.DevNull {
		return credentials{}, path, nil
	}
	text, loose := readSecret(path, netrcSizeMax)
	if loose != nil && !errors.Is(loose, ErrReadable) {
		return credentials{}, path, loose
	}
	user, password, found, err := parseNetrc(string(text), host)
	if found && loose != nil {
		err = loose
	}
	if err != nil || !found {
		return credentials{}, path, err
	}
	return credentials{header: basic(user, password), from: path}, path, nil
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// readSecret reads a file of credentials. The error matches [ErrReadable], beside the text, when others may read it too, or when it belongs to
// another user than this one and root.
func readSecret(path string, most int64) ([]byte, error) {
	file, info, err := vfs.OpenFile(path, func(mode fs.FileMode) error {
		if mode.IsDir() || mode&fs.ModeDevice != 0 {
			return vfs.ErrNotRegular
		}
		return nil
	})
	if err != nil {
		return nil, vfs.Cause(err)
	}
	defer file.Close()
	text, err := readBounded(file, most)
	if err == nil && info.Mode().IsRegular() {
		err = secret(info)
	}
	return text, err
}

// parseNetrc says what a netrc file has for a host: the first entry of its name. An entry for all others ("default") names no host, and is
// left out. The error names a line, and no word of it.
func parseNetrc(text, host string) (user, password string, found bool, err error) {
	words, err := netrcWords(text)
	if err != nil {
		return "", "", false, err
	}
	for i := 0; i+1 < len(words); i++ {
		switch words[i].text {
		case "machine":
			if strings.EqualFold(words[i+1].text, host) {
				user, password, err = netrcEntry(words[i:])
				return user, password, true, err
			}
			i++
		case "login", "password", "account":
			i++
		}
	}
	return "", "", false, nil
}

// netrcEntry reads an entry from its first word on.
func netrcEntry(words []netrcWord) (user, password string, err error) {
	entry := map[string]string{}
	i := 0
	for ; i < len(words) && words[i].text != "default" && (i == 0 || words[i].text != "machine"); i += 2 {
		switch key := words[i]; {
		case key.text != "machine" && key.text != "login" && key.text != "password" && key.text != "account":
			return "", "", fmt.Errorf("%w: line %d has a word that is not known", ErrNetrc, key.line)
		case i+1 == len(words):
			return "", "", fmt.Errorf("%w: it ends in line %d after a %s", ErrNetrc, key.line, key.text)
		default:
			entry[key.text] = words[i+1].text
		}
	}
	user, hasUser := entry["login"]
	password, hasPassword := entry["password"]
	if !hasUser || !hasPassword {
		return "", "", fmt.Errorf("%w: the entry in line %d lacks a login or a password", ErrNetrc, words[0].line)
	}
	return user, password, nil
}

// A netrcWord is a word of a netrc file.
type netrcWord struct {
	text string
	line int
}

// netrcWords are the words of a netrc file without its macros and comments. A # makes a comment at the beginning of a line alone: elsewhere it
// may be that of a password. In double quotes a word may have blanks, and \" and \\.
func netrcWords(text string) ([]netrcWord, error) {
	var words []netrcWord
	number, inMacro := 0, false
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if inMacro = inMacro && line != ""; inMacro || strings.HasPrefix(line, "#") {
			continue
		}
		for line != "" {
			var word string
			if line[0] == '"' {
				var closed bool
				if word, line, closed = unquoted(line[1:]); !closed {
					return nil, fmt.Errorf("%w: a quote in line %d is not closed", ErrNetrc, number)
				}
			} else if end := strings.IndexAny(line, " \t"); end >= 0 {
				word, line = line[:end], line[end:]
			} else {
				word, line = line, ""
			}
			if word == "macdef" && (len(words) == 0 || !slices.Contains([]string{"machine", "login", "password", "account"}, words[len(words)-1].text)) {
				inMacro = true
				break
			}
			words = append(words, netrcWord{word, number})
			line = strings.TrimLeft(line, " \t")
		}
	}
	return words, nil
}

// unquoted is a text up to its closing quote, and what follows that.
func unquoted(text string) (word, rest string, closed bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			return b.String(), text[i+1:], true
		case text[i] == '\\' && i+1 < len(text):
			i++
		}
		b.WriteByte(text[i])
	}
	return "", "", false
}

// A credentialsKey is the key of a request's context under which it is kept where its credentials are from.
type credentialsKey struct{}

// credentialsOf says where the credentials of a request are from, which has some.
func credentialsOf(req *http.Request) string {
	from, _ := req.Context().Value(credentialsKey{}).(string)
	return from
}
