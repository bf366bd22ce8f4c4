package release

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// checkProxyVariables refuses what the environment says of proxies when it cannot be meant so. net/http
// passes over a proxy that it cannot parse, and takes what stands before a slash in a password for one:
// the download would leave the host where it must not. The errors match ErrOption, and name the variable
// and never its value, which may hold a password.
func checkProxyVariables(getenv func(string) string) error {
	for _, names := range [][2]string{{"HTTP_PROXY", "http_proxy"}, {"HTTPS_PROXY", "https_proxy"}} {
		for _, name := range names {
			value := getenv(name)
			if value == "" {
				continue
			}
			if err := checkProxyURL(value); err != nil {
				return fmt.Errorf("%w: the proxy in the environment's %s: %w", ErrOption, name, err)
			}
			break // the other one is not read
		}
	}
	return nil
}

// checkProxyURL accepts a URL, or HOST:PORT with or without a user, as net/http does.
func checkProxyURL(text string) error {
	u, err := url.Parse(text)
	// A scheme without slashes after it is a mistake, unless it is a user's or a host's name.
	if !strings.Contains(text, "//") && (err != nil || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme)) {
		u, err = url.Parse("http://" + text)
	}
	switch {
	case err != nil:
		return errors.New("it cannot be parsed (in a password % is written %25, / is written %2F, @ is written %40)")
	case strings.Contains(u.EscapedPath()+u.RawQuery+u.EscapedFragment(), "@"):
		return errAtSign
	case u.Scheme == "" || u.Hostname() == "":
		return errors.New("it names no host, as in http://proxy:3128")
	}
	return nil
}
