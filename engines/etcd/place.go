// Package etcd keeps the state that controllers share in etcd. A swap is a transaction on the key's modification revision, and
// a hold is a key with a lease that is kept alive.
package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/tbctl/tbctl/fault"
)

const (
	// Scheme is what a place in etcd begins with: etcd://HOST:PORT,…/PREFIX?SETTING=VALUE&….
	Scheme = "etcd://"

	endpointsMax  = 16
	prefixSizeMax = 128
	fileSizeMax   = 1 << 20
	portDefault   = "2379"
)

// Place is where state is in etcd.
type Place struct {
	Endpoints []string // http:// or https://, host and port
	Prefix    string   // of all keys, without / around it
	User      string
	Password  string // not shown by anything
	TLS       *tls.Config
}

// ErrPlace says that a text does not name a place in etcd.
var ErrPlace = fault.New(fault.Usage, "not a place in etcd")

// ParsePlace reads etcd://[USER@]HOST[:PORT],…/PREFIX, and the files that its settings name: ca-file, cert-file, key-file and
// password-file. With tls=on, or any file of certificates, the connection is by TLS. A password is sent by TLS alone, but
// to this machine. The error is [ErrPlace], or that of a file.
func ParsePlace(text string) (*Place, error) {
	rest, is := strings.CutPrefix(text, Scheme)
	if !is {
		return nil, fmt.Errorf("%w: it begins with %s", ErrPlace, Scheme)
	}
	rest, query, _ := strings.Cut(rest, "?")
	hosts, prefix, _ := strings.Cut(rest, "/")
	p := &Place{Prefix: strings.TrimRight(prefix, "/")}
	if user, after, has := strings.Cut(hosts, "@"); has {
		if strings.Contains(user, ":") {
			return nil, fmt.Errorf("%w: a password is read from a file: ?password-file=FILE", ErrPlace)
		}
		p.User, hosts = user, after
	}
	if strings.Trim(p.Prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") != "" || p.Prefix == "" || len(p.Prefix) > prefixSizeMax {
		return nil, fmt.Errorf("%w: after the hosts comes what all keys begin with, as %shost:2379/tbctl", ErrPlace, Scheme)
	}
	settings, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("%w: what comes after ? is NAME=VALUE&NAME=VALUE", ErrPlace)
	}
	if err := p.set(settings); err != nil {
		return nil, err
	}
	local := true
	names := strings.Split(hosts, ",")
	if len(names) > endpointsMax {
		return nil, fmt.Errorf("%w: more than %d hosts", ErrPlace, endpointsMax)
	}
	for _, name := range names {
		host, port, err := net.SplitHostPort(name)
		if err != nil {
			host, port = strings.Trim(name, "[]"), portDefault
		}
		if host == "" || port == "" || strings.ContainsAny(host, "/@?#% ") {
			return nil, fmt.Errorf("%w: %.80q is not HOST:PORT", ErrPlace, name)
		}
		scheme := "http://"
		if p.TLS != nil {
			scheme = "https://"
		}
		address := net.ParseIP(host)
		local = local && (host == "localhost" || address != nil && address.IsLoopback())
		p.Endpoints = append(p.Endpoints, scheme+net.JoinHostPort(host, port))
	}
	switch {
	case (p.User == "") != (p.Password == ""):
		return nil, fmt.Errorf("%w: a user and a password come together: %sUSER@host:2379/…?password-file=FILE", ErrPlace, Scheme)
	case p.Password != "" && p.TLS == nil && !local:
		return nil, fmt.Errorf("%w: a password is sent by TLS alone: &tls=on, or &ca-file=FILE", ErrPlace)
	}
	return p, nil
}

// set reads the settings.
func (p *Place) set(settings url.Values) error {
	files := map[string]string{}
	for name, values := range settings {
		switch {
		case len(values) != 1:
			return fmt.Errorf("%w: %s is named %d times", ErrPlace, name, len(values))
		case name == "tls" && values[0] == "on":
			p.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		case name == "ca-file" || name == "cert-file" || name == "key-file" || name == "password-file":
			text, err := readFile(values[0])
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			files[name] = text
		default:
			return fmt.Errorf("%w: the setting %.40q is none of tls=on, ca-file, cert-file, key-file, password-file", ErrPlace, name)
		}
	}
	if (files["cert-file"] == "") != (files["key-file"] == "") {
		return fmt.Errorf("%w: cert-file and key-file come together", ErrPlace)
	}
	p.Password = strings.TrimRight(files["password-file"], "\r\n")
	if files["ca-file"]+files["cert-file"] == "" {
		return nil
	}
	p.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if text := files["ca-file"]; text != "" {
		p.TLS.RootCAs = x509.NewCertPool()
		if !p.TLS.RootCAs.AppendCertsFromPEM([]byte(text)) {
			return fmt.Errorf("ca-file: %s: no certificate in it", settings.Get("ca-file"))
		}
	}
	if files["cert-file"] != "" {
		pair, err := tls.X509KeyPair([]byte(files["cert-file"]), []byte(files["key-file"]))
		if err != nil {
			return fmt.Errorf("cert-file %s, key-file %s: %w", settings.Get("cert-file"), settings.Get("key-file"), err)
		}
		p.TLS.Certificates = []tls.Certificate{pair}
	}
	return nil
}

var errEmpty = errors.New("it is empty")

func readFile(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, fileSizeMax+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > fileSizeMax:
		return "", fmt.Errorf("%s: more than %d bytes", name, fileSizeMax)
	case strings.TrimSpace(string(text)) == "":
		return "", fmt.Errorf("%s: %w", name, errEmpty)
	}
	return string(text), nil
}
