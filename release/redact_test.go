package release

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestLocationsTellNoSecrets redirects to what cannot be followed: no error and no result repeats it.
func TestLocationsTellNoSecrets(t *testing.T) {
	t.Parallel()
	for location, final := range map[string]bool{
		"http://u:hunter2@%zz/x?token=hunter2": true,
		"http://u:hunter2@h:port/hunter2":      true,
		"http://u:hunter2/x@h/":                true,
		"//u:hunter2@[::1/hunter2":             true,
		"hunter2:hunter2@h/hunter2":            true,
		"://hunter2":                           true,
		"hunter2://hunter2@h/":                 true,
		"http:///hunter2?hunter2":              false,
		"http://127.0.0.1:1/hunter2@h/x":       false,
		"http://127.0.0.1:1?hunter2@h/x":       false,
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			s := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Location"] = []string{location}
				w.WriteHeader(status)
			})
			f, _, err := fetch(t, s.URL+"/x.zip", Options{})
			if err == nil || strings.Contains(err.Error()+asJSON(t, err)+asJSON(t, f), "hunter2") {
				t.Errorf("%d %s: %v; %s", status, location, err, asJSON(t, f))
			}
			if final && (!errors.Is(err, ErrRedirect) || f.Attempts != 1) {
				t.Errorf("%d %s: %d attempts, %v", status, location, f.Attempts, err)
			}
		}
	}
}

// TestMalformedHeaders does not repeat a header line that is none.
func TestMalformedHeaders(t *testing.T) {
	t.Parallel()
	s := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		conn.Write([]byte("HTTP/1.1 302 Found\r\nLocation http//u hunter2\r\n\r\n"))
	})
	if _, _, err := fetch(t, s.URL+"/x.zip", Options{}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

// TestArgumentsTellNoSecrets refuses URLs that cannot be meant so, and does not repeat them.
func TestArgumentsTellNoSecrets(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"http://u:1/hunter2@h/x.zip", "https://u:1?hunter2@h/x.zip", "http://u:1#hunter2@h/x.zip", "http://u:p@a/hunter2@h/x.zip",
		"http://u:hunter2/x@h/x.zip", "http://u:hunter2@h:port/x.zip", "http:/u:hunter2@h/x.zip", "HTTPS:u:hunter2@h/x.zip",
		"hunter2:hunter2@h/://x", "hunter2://hunter2@h/x", "http://hunter2\x7f@h/", "://hunter2",
	} {
		for arg, o := range map[string]Options{text: {}, "0.17.8": {Mirror: text}} {
			o.Platform = LinuxX86_64
			if a, err := resolve(arg, o); !errors.Is(err, ErrOption) || strings.Contains(err.Error()+asJSON(t, a), "hunter2") {
				t.Errorf("%q with mirror %q: %v; %s", arg, o.Mirror, err, asJSON(t, a))
			}
		}
		if _, err := List(t.Context(), Options{Mirror: text, Retry: quick}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("list %q: %v", text, err)
		}
	}
	for _, text := range []string{"https://h/@scope/x.zip", "https://h:8443/%40scope/x.zip", "https://u:p%2Fq@h/x.zip", "https://h:8443/x.zip?by=a@h"} {
		if _, err := resolve(text, Options{Platform: LinuxX86_64}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestRedacted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://u:p@h/a%2Fb?q#f":  "https://h/a%2Fb",
		"https://h/@scope/x":       "https://h/@scope/x",
		"https://h:1/secret@x/y":   "https://h:1/...",
		"https://u:p@h/secret@x/y": "https://h/...",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := redacted(u); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0.17.8": "0.17.8", "./a b@c": "./a b@c", "--wait": "--wait",
		"https://host/path/{tag}/{asset}":      "https://host/path/{tag}/{asset}",
		"https://host:8443/x@y":                "https://...",
		"https://host/x@y":                     "https://host/x@y",
		"https://u:p@host/x?k=s#f":             "https://host/x",
		"https://u:p@host?k=s":                 "https://host",
		"https://u:p/w@host/x":                 "https://...",
		"https://u:p?w@host/x":                 "https://...",
		"--mirror=https://u:p@host/{tag}?k=s":  "--mirror=https://host/{tag}",
		"http:u:hunter2@host":                  "http:...",
		"HTTPS_PROXY=http://u:p@proxy:3128/#x": "HTTPS_PROXY=http://proxy:3128/",
	} {
		if got := Redact(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
