package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/release"
)

// A hub is GitHub with one release, 0.17.2 of the fixtures, and an API that behaves as it is told.
type hub struct {
	*httptest.Server
	zip   []byte
	asked []string
}

func newHub(t *testing.T, fixtures string, api http.HandlerFunc) *hub {
	t.Helper()
	zip, err := os.ReadFile(filepath.Join(fixtures, "v2.zip"))
	if err != nil {
		t.Fatal(err)
	}
	h := &hub{zip: zip}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.asked = append(h.asked, r.URL.Path)
		switch {
		case strings.HasPrefix(r.URL.Path, "/api/"):
			api(w, r)
		case strings.HasSuffix(r.URL.Path, ".zip"):
			_, _ = w.Write(h.zip)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// fetchedAsset reports whether the archive was asked for.
func (h *hub) fetchedAsset() bool {
	return strings.Contains(strings.Join(h.asked, " "), ".zip ") || strings.HasSuffix(strings.Join(h.asked, " "), ".zip")
}

// A told is what one run of tbctl said, and its exit code.
type told struct {
	code     int
	out, err string
	document struct {
		Warnings []string
		Error    *struct {
			Message string
			Hint    string
			Detail  json.RawMessage
		}
	}
}

// tell runs tbctl in this process, and with --json reads its document.
func tell(t *testing.T, env map[string]string, args ...string) told {
	t.Helper()
	return tellIn(t, strings.NewReader(""), env, args...)
}

// tellIn is tell with a standard input.
func tellIn(t *testing.T, in io.Reader, env map[string]string, args ...string) told {
	t.Helper()
	var out, errs bytes.Buffer
	settings := map[string]string{"TBCTL_CONFIG": os.DevNull, "HOME": t.TempDir(), "TBCTL_STATE_DIR": t.TempDir(), "TBCTL_CACHE_DIR": filepath.Join(t.TempDir(), "cache")}
	for name, value := range env {
		settings[name] = value
	}
	result := told{code: run(args, streams{in: in, out: &out, err: &errs}, func(name string) string { return settings[name] })}
	result.out, result.err = out.String(), errs.String()
	if strings.HasPrefix(result.out, "{") {
		if _, err := mustSchemas(t).checkOutput(out.Bytes()); err != nil {
			t.Error(err)
		}
		if err := json.Unmarshal(out.Bytes(), &result.document); err != nil {
			t.Fatal(err)
		}
	}
	return result
}

func published(zip []byte, digest string) string {
	return fmt.Sprintf(`{"tag_name":"0.17.2","assets":[{"name":%q,"size":%d,"digest":%s}]}`, assetName(), len(zip), digest)
}

func assetName() string {
	platform, _ := release.HostPlatform()
	return release.AssetName(platform, false)
}

// TestSafeguards holds that what is to vouch for a file holds, is said to be missing, or stops the command.
func TestSafeguards(t *testing.T) {
	t.Parallel()
	fixtures := fixtureDir(t)
	for name, test := range map[string]func(*testing.T, string){
		"token": testTokenIsNamed, "away": testVoucherAway, "no tag": testDigestWithoutTag, "list": testListNotApplied,
		"token of no use": testTokenFindsNothing, "list that leads to nothing": testListUnreadable, "dry run keeps nothing": testDryRunKeepsNothing,
	} {
		t.Run(name, func(t *testing.T) { test(t, fixtures) })
	}
}

// testDryRunKeepsNothing says that the real run fetches again what a dry run fetched, and why.
func testDryRunKeepsNothing(t *testing.T, fixtures string) {
	zip, err := os.ReadFile(filepath.Join(fixtures, "v2.zip"))
	if err != nil {
		t.Fatal(err)
	}
	etag := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".zip") {
			http.NotFound(w, r)
			return
		}
		if etag != "" {
			w.Header().Set("ETag", etag)
		}
		w.Write(zip)
	}))
	defer s.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dry := func(cache string) string {
		r := tell(t, nil, "install", s.URL+"/x.zip", filepath.Join(t.TempDir(), "tb"), "--dry-run", "--cache-dir", cache)
		if r.code != 0 {
			t.Errorf("exit code %d\n%s", r.code, r.err)
		}
		return r.err
	}
	const again = ": nothing of it is kept, and the real run fetches it again"
	if text := dry(filepath.Join(t.TempDir(), "cache")); !strings.Contains(text, "tbctl: the server names no ETag") || strings.Count(text, again) != 1 {
		t.Errorf("without an ETag: %s", text)
	}
	etag = `"1"`
	if text := dry(file); !strings.Contains(text, "warning: the cache is not used: ") || !strings.Contains(text, file) || strings.Count(text, again) != 1 {
		t.Errorf("without a cache: %s", text)
	}
	if text := dry(filepath.Join(t.TempDir(), "cache")); strings.Contains(text, "fetches it again") {
		t.Errorf("with both: %s", text)
	}
}

// testTokenIsNamed names a token that GitHub does not take, and goes on without it: releases are public.
func testTokenIsNamed(t *testing.T, fixtures string) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		var h *hub
		h = newHub(t, fixtures, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Header.Get("Authorization") != "":
				http.Error(w, "{}", status)
			case strings.HasSuffix(r.URL.Path, "/releases"):
				fmt.Fprintf(w, "[%s]", published(h.zip, "null"))
			default:
				fmt.Fprint(w, published(h.zip, `"sha256:`+digestOf(h.zip)+`"`))
			}
		})
		env := map[string]string{"GITHUB_TOKEN": "ghp_expired"}
		from := []string{"--github-url", h.URL, "--api-url", h.URL + "/api"}
		for _, args := range [][]string{
			{"releases", filepath.Join(fixtures, "v1")},
			{"install", "0.17.2", filepath.Join(t.TempDir(), "tb"), "--require", "digest"},
			{"download", "0.17.2", "-o", filepath.Join(t.TempDir(), "tb"), "--github-digest"},
		} {
			r := tell(t, env, append(args, from...)...)
			if r.code != 0 || strings.Count(r.err, "warning: GITHUB_TOKEN is not taken") != 1 || strings.Contains(r.err, "credentials go into the URL") {
				t.Errorf("%d, %s: exit code %d\n%s", status, args[0], r.code, r.err)
			}
		}
		if r := tell(t, env, append([]string{"releases", "--json"}, from...)...); r.code != 0 || len(r.document.Warnings) != 1 || !strings.Contains(r.document.Warnings[0], "GITHUB_TOKEN") {
			t.Errorf("%d: %+v", status, r)
		}
	}
	h := newHub(t, fixtures, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "{}", http.StatusUnauthorized) })
	r := tell(t, map[string]string{"GITHUB_TOKEN": "ghp_expired"}, "releases", "--api-url", h.URL+"/api")
	if r.code != 1 || !strings.Contains(r.err, "the token was not taken") || !strings.Contains(r.err, "hint: renew GITHUB_TOKEN, or unset it") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
}

// testTokenFindsNothing says what GitHub has no digest of, and that a token may not be allowed to see it.
func testTokenFindsNothing(t *testing.T, fixtures string) {
	env := map[string]string{"GITHUB_TOKEN": "ghp_good"}
	for name, tc := range map[string]struct {
		api  func(h *hub) http.HandlerFunc
		said string
	}{
		"404":       {func(*hub) http.HandlerFunc { return http.NotFound }, "GitHub's digest was not checked: .*404 Not Found with the token and without it: it is not there, or the token may not read a private repository .*GITHUB_TOKEN is set"},
		"no asset":  {func(*hub) http.HandlerFunc { return says(`{"tag_name":"0.17.2"}`) }, "GitHub's digest is not there: the API knows no asset"},
		"no digest": {func(h *hub) http.HandlerFunc { return says(published(h.zip, "null")) }, "GitHub's digest is not there: GitHub gives no digest for it"},
		"only with the token": {func(h *hub) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" {
					http.NotFound(w, r)
					return
				}
				fmt.Fprint(w, published(h.zip, `"sha256:`+digestOf(h.zip)+`"`))
			}
		}, "GITHUB_TOKEN is not taken .*404"},
	} {
		var h *hub
		h = newHub(t, fixtures, func(w http.ResponseWriter, r *http.Request) { tc.api(h)(w, r) })
		target := filepath.Join(t.TempDir(), "tb")
		args := []string{"install", "0.17.2", target, "--github-url", h.URL, "--api-url", h.URL + "/api"}
		for _, again := range []string{"", "installed already"} {
			r := tell(t, env, args...)
			if warned := regexp.MustCompile(`warning: [^\n]*` + tc.said); r.code != 0 || !warned.MatchString(unwrapped(r.err)) {
				t.Errorf("%s %s: exit code %d\n%s", name, again, r.code, r.err)
			}
		}
	}
	h := newHub(t, fixtures, http.NotFound)
	r := tell(t, env, "releases", "--api-url", h.URL+"/api")
	if r.code != 1 || !strings.Contains(r.err, "may not read a private repository") || !strings.Contains(unwrapped(r.err), "hint: check the release; of a private repository GITHUB_TOKEN must have the right") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
}

// says is an API with one answer.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

// unwrapped is a text of standard error without the line breaks that make it fit a terminal.
func unwrapped(text string) string { return regexp.MustCompile(`\n {3,}`).ReplaceAllString(text, " ") }

// testListUnreadable does not take a list that cannot be read for one that is not there.
func testListUnreadable(t *testing.T, fixtures string) {
	zip, err := os.ReadFile(filepath.Join(fixtures, "v2.zip"))
	if err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func(list string) error{
		"a symbolic link that leads to nothing": func(list string) error { return os.Symlink("nothing", list) },
		"is a directory":                        func(list string) error { return os.Mkdir(list, 0o700) },
	} {
		dir := t.TempDir()
		file, list := filepath.Join(dir, "x.zip"), filepath.Join(dir, "SHA256SUMS")
		if err := errors.Join(os.WriteFile(file, zip, 0o600), make(list)); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"install", file, filepath.Join(dir, "tb")}, {"download", file, "-o", filepath.Join(dir, "copy")}, {"verify", file}} {
			r := tell(t, nil, args...)
			if said := unwrapped(r.err); r.code != 0 || !strings.Contains(said, "warning: SHA256SUMS was not checked: ") || !strings.Contains(said, name) || !strings.Contains(said, list) {
				t.Errorf("%s, %s: exit code %d\n%s", name, args[0], r.code, r.err)
			}
		}
		r := tell(t, nil, "install", file, filepath.Join(dir, "required"), "--require", "digest")
		if r.code != 1 || !strings.Contains(r.err, name) || !strings.Contains(unwrapped(r.err), "hint: make it readable, or remove it: ls -l "+list) {
			t.Errorf("%s, required: exit code %d\n%s", name, r.code, r.err)
		}
	}
}

// testVoucherAway ends with exit code 1, before anything is fetched, when what was asked for to vouch for the file
// cannot be had now, and says why, in the message and in the document. Where nobody asked, it is a warning.
func testVoucherAway(t *testing.T, fixtures string) {
	away := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "86400") // longer than anybody waits, so that no attempt follows
		http.Error(w, "", http.StatusServiceUnavailable)
	}
	key := filepath.Join(t.TempDir(), "release.pub")
	if err := os.WriteFile(key, []byte("untrusted comment: x\nRWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	configured := map[string]string{"TBCTL_CONFIG": filepath.Join(t.TempDir(), "config.toml")}
	if err := os.WriteFile(configured["TBCTL_CONFIG"], []byte("github-digest = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args []string
		env  map[string]string
		code int
	}{
		"asked for":            {[]string{"--github-digest"}, nil, 1},
		"by the configuration": {nil, configured, 1},
		"required":             {[]string{"--require", "digest"}, nil, 1},
		"asked and required":   {[]string{"--github-digest", "--require", "digest"}, nil, 1},
		"only for its token":   {nil, map[string]string{"GITHUB_TOKEN": "ghp_good"}, 0},
		"switched off":         {[]string{"--github-digest=false"}, configured, 0},
		"signature":            {[]string{"--public-key", key, "--mirror", "HUB/api"}, nil, 1},
		"list, where required": {[]string{"--require", "digest", "--mirror", "HUB/api"}, nil, 1},
	} {
		for _, command := range []string{"install", "download"} {
			t.Run(command+" "+name, func(t *testing.T) {
				h := newHub(t, fixtures, away)
				args := []string{command, "0.17.2", "--github-url", h.URL, "--api-url", h.URL + "/api"}
				target := filepath.Join(t.TempDir(), "tb")
				if command == "download" {
					args = append(args, "-o")
				}
				args = append(args, target)
				for _, arg := range tc.args {
					args = append(args, strings.Replace(arg, "HUB", h.URL, 1))
				}
				r := tell(t, tc.env, args...)
				if r.code != tc.code {
					t.Fatalf("exit code %d\n%s", r.code, r.err)
				}
				if _, err := os.Stat(target); (err == nil) != (tc.code == 0) || h.fetchedAsset() != (tc.code == 0) {
					t.Errorf("%v, asked for %v", err, h.asked)
				}
				switch {
				case tc.code == 1 && (!strings.Contains(r.err, "not-checked: ") || !strings.Contains(r.err, "503") || strings.Contains(r.err, "minisign -S")):
					t.Errorf("it does not say why:\n%s", r.err)
				case name == "only for its token" && !strings.Contains(r.err, "warning: GitHub's digest was not checked: "):
					t.Errorf("no warning:\n%s", r.err)
				}
				if tc.code == 0 {
					return
				}
				r = tell(t, tc.env, append(args, "--json")...)
				var evidence []release.Evidence
				if r.document.Error == nil || json.Unmarshal(r.document.Error.Detail, &evidence) != nil || len(evidence) == 0 {
					t.Fatalf("no evidence in %s", r.out)
				}
				for _, e := range evidence {
					if e.Status == "" || e.Detail == "" {
						t.Errorf("%+v", e)
					}
				}
			})
		}
	}
}

// testDigestWithoutTag refuses to ask GitHub about a file of which no release is named, and warns of a setting
// that cannot be followed.
func testDigestWithoutTag(t *testing.T, fixtures string) {
	file := filepath.Join(fixtures, "v2.zip")
	target := filepath.Join(t.TempDir(), "tb")
	if r := tell(t, nil, "install", file, target, "--github-digest"); r.code != 2 || !strings.Contains(r.err, "--sha256 HEX") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	config := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(config, []byte("github-digest = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := tell(t, map[string]string{"TBCTL_CONFIG": config}, "install", file, target)
	if r.code != 0 || !strings.Contains(r.err, "warning: GitHub's digest was not checked: ") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
}

// testListNotApplied warns of a list beside the file that says nothing of it, with the line.
func testListNotApplied(t *testing.T, fixtures string) {
	zip, err := os.ReadFile(filepath.Join(fixtures, "v2.zip"))
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"install", "download"} {
		for list, want := range map[string]struct {
			code int
			said string
		}{
			digestOf(zip) + "  0.17.2/x.zip \n": {0, ""},
			digestOf(nil) + "  0.17.2/x.zip \n": {3, "line 1 of SHA256SUMS"},
			digestOf(nil) + "  tigerbeetle\n":   {3, "line 1 of SHA256SUMS"},
			digestOf(nil) + "  y.zip\n":         {0, "warning: SHA256SUMS was not checked: "},
			"<html>":                            {0, "warning: SHA256SUMS was not checked: "},
			digestOf(zip):                       {0, "line 1 cannot be read"},
		} {
			dir := t.TempDir()
			for name, content := range map[string][]byte{"x.zip": zip, "SHA256SUMS": []byte(list)} {
				if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			args := []string{"install", filepath.Join(dir, "x.zip"), filepath.Join(dir, "tb")}
			if command == "download" {
				args = []string{"download", filepath.Join(dir, "x.zip"), "-o", filepath.Join(dir, "tb")}
			}
			r := tell(t, nil, args...)
			if r.code != want.code || !strings.Contains(r.err, want.said) || want.said == "" && strings.Contains(r.err, "warning: ") {
				t.Errorf("%s, %q: exit code %d\n%s", command, list, r.code, r.err)
			}
		}
	}
}

func digestOf(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }
