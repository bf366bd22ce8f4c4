package release

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/vfs"
)

// TestNetrc reads what people write, and says a line of what cannot be read.
func TestNetrc(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text, user, password string
		found                bool
		wrong                string
	}{
		"one line":               {text: "machine store.test login ann password s3cret\n", user: "ann", password: "s3cret", found: true},
		"lines":                  {text: "machine other.test\n\tlogin x\n\tpassword y\n\nmachine STORE.test\n  login ann\n  account z\n  password s3cret", user: "ann", password: "s3cret", found: true},
		"the first counts":       {text: "machine store.test login ann password 1 machine store.test login bob password 2", user: "ann", password: "1", found: true},
		"quotes":                 {text: `machine store.test login "ann b" password "a \"b\\ #c"`, user: "ann b", password: `a "b\ #c`, found: true},
		"a word as password":     {text: "machine other.test login login password machine machine store.test login ann password default", user: "ann", password: "default", found: true},
		"a # in a password":      {text: "# mine\nmachine store.test login ann password #1#\n# other\n", user: "ann", password: "#1#", found: true},
		"a macro":                {text: "machine other.test login x password y macdef init\nmachine store.test login eve password 1\n\nmachine store.test login ann password 2", user: "ann", password: "2", found: true},
		"another host":           {text: "machine store.test.evil login ann password s3cret\n"},
		"default":                {text: "machine other.test login x password y\ndefault login ann password s3cret\n"},
		"empty":                  {},
		"no password":            {text: "\nmachine store.test login ann\nmachine other.test login x password y", found: true, wrong: "line 2 lacks"},
		"default has it":         {text: "machine store.test login ann default password y", found: true, wrong: "line 1 lacks"},
		"ends":                   {text: "machine store.test login ann password", found: true, wrong: "ends in line 1 after a password"},
		"a word that is unknown": {text: "machine store.test login ann\npasswort s3cret", found: true, wrong: "line 2 has a word"},
		"a quote":                {text: `machine store.test login "ann password s3cret`, wrong: "quote in line 1"},
		"of others, unknown":     {text: "machine other.test port 21 login x password y machine store.test login ann password 1", user: "ann", password: "1", found: true},
	} {
		user, password, found, err := parseNetrc(tc.text, "store.test")
		if tc.wrong != "" {
			if !errors.Is(err, ErrNetrc) || !strings.Contains(err.Error(), tc.wrong) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || user != tc.user || password != tc.password || found != tc.found {
			t.Errorf("%s: %q, %q, %v, %v", name, user, password, found, err)
		}
	}
}

// store is a server that wants credentials, and notes what each request had.
func store(t *testing.T, want string, files map[string][]byte) (url string, told func() []string) {
	t.Helper()
	s := newServer(t, nil)
	guarded := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Clone(r.Context()))
		s.mu.Unlock()
		switch data := files[r.URL.Path]; {
		case r.Header.Get("Authorization") != want:
			http.Error(w, "", http.StatusUnauthorized)
		case data == nil:
			http.NotFound(w, r)
		default:
			w.Write(data)
		}
	})
	return guarded.URL, func() (all []string) {
		for _, r := range s.seen() {
			all = append(all, r.Header.Get("Authorization"))
		}
		return all
	}
}

func secretFile(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode))
	return path
}

// TestCredentialsOfStores sends what is for a store with each request to it, and tells credentials that are wrong from those that are missing.
func TestCredentialsOfStores(t *testing.T) {
	t.Parallel()
	zip := zipped(t, program(10_000, 1))
	files := map[string][]byte{"/m/0.17.8/tigerbeetle-x86_64-linux.zip": zip, "/m/0.17.8/SHA256SUMS": []byte(sumOf(zip) + "  tigerbeetle-x86_64-linux.zip\n")}
	netrc := secretFile(t, "netrc", "machine 127.0.0.1 login ann password s3cret\n", 0o600)
	token := secretFile(t, "token", "t0ken\n", 0o600)
	elsewhere := secretFile(t, "netrc", "machine other.test login ann password s3cret\ndefault login ann password s3cret\n", 0o644)
	for name, tc := range map[string]struct {
		o      Options
		want   string // what the store takes
		detail string // of what it does not take
	}{
		"netrc":                    {Options{Netrc: netrc}, basic("ann", "s3cret"), ""},
		"token file":               {Options{StoreTokenFile: token, Netrc: netrc}, "Bearer t0ken", ""},
		"token":                    {Options{StoreToken: " t0ken\n", Netrc: netrc}, "Bearer t0ken", ""},
		"wrong":                    {Options{Netrc: netrc}, basic("ann", "other"), "it does not take the credentials that were given, those from " + netrc},
		"wrong token":              {Options{StoreTokenFile: token}, "Bearer other", "it does not take the credentials that were given, those from the token in " + token},
		"missing":                  {Options{}, "Bearer t0ken", "it wants credentials"},
		"netrc of other hosts":     {Options{Netrc: elsewhere}, "Bearer t0ken", "it wants credentials"},
		"none, as was asked for":   {Options{Netrc: os.DevNull}, "Bearer t0ken", "it wants credentials"},
		"GitHub's token is not it": {Options{Token: "t0ken"}, "Bearer t0ken", "it wants credentials"},
	} {
		url, told := store(t, tc.want, files)
		o := tc.o
		o.Mirror = url + "/m"
		f, _, err := fetch(t, "0.17.8", o)
		var answer *HTTPError
		switch {
		case tc.detail == "" && (err != nil || !f.Trusted):
			t.Errorf("%s: %v", name, err)
		case tc.detail != "" && (!errors.As(err, &answer) || answer.Detail != tc.detail || answer.Refused != strings.Contains(tc.detail, "given")):
			t.Errorf("%s: %v, %+v", name, err, answer)
		case tc.detail == "" && slices.ContainsFunc(told(), func(had string) bool { return had != tc.want }):
			t.Errorf("%s: %q", name, told())
		}
		if shown := fmt.Sprint(err) + asJSON(t, f) + asJSON(t, err); strings.Contains(shown, "s3cret") || strings.Contains(shown, "t0ken") {
			t.Errorf("%s: %s", name, shown)
		}
	}
}

// TestCredentialsRefused refuses, before the first request, files that others may read and what cannot be meant so.
func TestCredentialsRefused(t *testing.T) {
	t.Parallel()
	const entry = "machine store.test login ann password s3cret\n"
	for name, tc := range map[string]struct {
		o    Options
		url  string
		want error
		unix bool
	}{
		"readable":         {Options{Netrc: secretFile(t, "netrc", entry, 0o640)}, "https://store.test/m", ErrReadable, true},
		"readable token":   {Options{StoreTokenFile: secretFile(t, "token", "s3cret", 0o604)}, "https://store.test/m", ErrReadable, true},
		"in the clear":     {Options{Netrc: secretFile(t, "netrc", entry, 0o600)}, "http://store.test/m", ErrPlain, false},
		"token, clear":     {Options{StoreToken: "s3cret"}, "http://store.test/m", ErrPlain, false},
		"no netrc":         {Options{Netrc: secretFile(t, "netrc", "machine store.test s3cret", 0o600)}, "https://store.test/m", ErrNetrc, false},
		"netrc not there":  {Options{Netrc: filepath.Join(t.TempDir(), "none")}, "https://store.test/m", os.ErrNotExist, false},
		"netrc, directory": {Options{Netrc: t.TempDir()}, "https://store.test/m", vfs.ErrNotRegular, false},
		"token, empty":     {Options{StoreTokenFile: secretFile(t, "token", "\n", 0o600)}, "https://store.test/m", ErrNoToken, false},
		"token, two lines": {Options{StoreTokenFile: secretFile(t, "token", "s3cret\ns3cret", 0o600)}, "https://store.test/m", ErrNoToken, false},
		"token, huge":      {Options{StoreTokenFile: secretFile(t, "token", strings.Repeat("x", tokenSizeMax+1), 0o600)}, "https://store.test/m", ErrTooLarge, false},
	} {
		if tc.unix && runtime.GOOS == "windows" {
			t.Logf("%s: skipped: who may read a file does not stand in its mode here", name)
			continue
		}
		sent := false
		tr := &transport{answer: func(int, *http.Request) (*http.Response, error) {
			sent = true
			return answer(404, nil, ""), nil
		}}
		o := tc.o
		o.Mirror, o.Transport = tc.url, tr
		_, _, err := fetch(t, "0.17.8", o)
		var refused *CredentialsError
		if !errors.As(err, &refused) || !errors.Is(err, tc.want) || refused.Host != "store.test" || sent || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, sent %v", name, err, sent)
		}
		o.Mirror, sent = "https://ann:pass@store.test/m", false // what the URL says counts alone
		if _, _, err := fetch(t, "0.17.8", o); errors.As(err, &refused) || !sent {
			t.Errorf("%s: %v, sent %v", name, err, sent)
		}
	}
}

// TestCredentialsStayHome sends what is for one host to no other: not along with a redirect, not back from one, not to GitHub, and a token of a
// mirror to no URL elsewhere.
func TestCredentialsStayHome(t *testing.T) {
	t.Parallel()
	zip := zipped(t, program(10_000, 1))
	netrc := secretFile(t, "netrc", "machine 127.0.0.1 login ann password s3cret\n", 0o600)
	var told []string
	note := func(place string, r *http.Request) {
		told = append(told, place+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
	}
	var home string
	other := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		note("other", r)
		switch {
		case r.URL.Path == "/back/x.zip":
			http.Redirect(w, r, home+"/there/x.zip", http.StatusFound)
		case strings.HasSuffix(r.URL.Path, ".zip"):
			w.Write(zip)
		default:
			http.NotFound(w, r)
		}
	})
	s := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		note("home", r)
		switch r.URL.Path {
		case "/away/x.zip":
			http.Redirect(w, r, other.URL+"/x.zip", http.StatusFound)
		case "/back/x.zip":
			http.Redirect(w, r, other.URL+"/back/x.zip", http.StatusFound)
		case "/there/x.zip":
			w.Write(zip)
		default:
			http.NotFound(w, r)
		}
	})
	home = s.URL
	had := basic("ann", "s3cret")
	for path, want := range map[string][]string{
		"/away/x.zip": {"home /away/x.zip " + had, "other /x.zip "},
		"/back/x.zip": {"home /back/x.zip " + had, "other /back/x.zip ", "home /there/x.zip "},
	} {
		for name, o := range map[string]Options{had: {Netrc: netrc}, "Bearer t0ken": {StoreToken: "t0ken"}} {
			told = nil
			if _, _, err := fetch(t, home+path, o); err != nil {
				t.Fatal(err)
			}
			told = slices.DeleteFunc(told, func(line string) bool { return !strings.Contains(line, ".zip ") })
			if got := strings.ReplaceAll(fmt.Sprint(told), name, had); got != fmt.Sprint(want) {
				t.Errorf("%s: %s", path, got)
			}
		}
	}
	told = nil
	if _, _, err := fetch(t, other.URL+"/x.zip", Options{StoreToken: "t0ken", Mirror: home}); err != nil || strings.Contains(fmt.Sprint(told), "t0ken") {
		t.Errorf("%v, %q", err, told)
	}
	told = nil
	if _, _, err := fetch(t, home+"/there/x.zip", Options{StoreToken: "t0ken", Mirror: home + "/{tag}/{asset}"}); err != nil || !strings.Contains(fmt.Sprint(told), "t0ken") {
		t.Errorf("%v, %q", err, told)
	}
	told = nil
	if _, _, err := fetch(t, "0.17.8", Options{StoreToken: "t0ken", Netrc: netrc, BaseURL: home, APIURL: home}); err == nil || len(told) == 0 || strings.Contains(fmt.Sprint(told), "Bas") || strings.Contains(fmt.Sprint(told), "Bea") {
		t.Errorf("%v, %q", err, told)
	}
}

// TestCredentialsList asks a mirror for its list with them.
func TestCredentialsList(t *testing.T) {
	t.Parallel()
	url, _ := store(t, "Bearer t0ken", map[string][]byte{"/m/releases": []byte(`[` + apiRelease("0.17.8", 1, "null") + `]`)})
	l, err := List(t.Context(), Options{Mirror: url + "/m", StoreToken: "t0ken", Retry: quick})
	if err != nil || len(l.Releases) != 1 {
		t.Errorf("%+v, %v", l, err)
	}
}

// TestPresigned keeps the query of a signed URL for its file, asks for nothing beside that, and shows no part of it.
func TestPresigned(t *testing.T) {
	t.Parallel()
	zip := zipped(t, program(10_000, 1))
	for query, alone := range map[string]bool{
		"X-Amz-Signature=hushword&X-Amz-Expires=60": true, "X-Goog-Signature=hushword": true, "Expires=1&Signature=hushword": true,
		"sr=b&sig=hushword": true, "sr=c&sig=hushword": false, "token=hushword": false,
	} {
		var asked []string
		s := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.Path)
			switch {
			case r.URL.RawQuery != query:
				http.Error(w, "", http.StatusForbidden)
			case r.URL.Path != "/b/x.zip":
				http.NotFound(w, r)
			default:
				w.Write(zip)
			}
		})
		f, _, err := fetch(t, s.URL+"/b/x.zip?"+query, Options{SHA256: sumOf(zip)})
		if err != nil || (len(asked) == 1) != alone || strings.Contains(asJSON(t, f), "hushword") {
			t.Errorf("%s: %v, %q, %s", query, err, asked, asJSON(t, f))
		}
		_, _, err = fetch(t, s.URL+"/b/x.zip?"+query+"&old=1", Options{})
		if err == nil || strings.Contains(err.Error()+asJSON(t, err), "hushword") || strings.Contains(err.Error(), "signature: it has expired") != alone {
			t.Errorf("%s: %v", query, err)
		}
		public, _ := keys(t)
		_, _, err = fetch(t, s.URL+"/b/x.zip?"+query, Options{PublicKey: public})
		if err == nil || strings.Contains(err.Error(), "signed for its file alone") != alone {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// TestOtherSchemes names the scheme that another program knows, and nothing that may be secret.
func TestOtherSchemes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]SchemeError{
		"s3://bucket/0.17.8/x.zip?hushword":  {Scheme: "s3", Text: "s3://bucket/0.17.8/x.zip"},
		"oci://registry.test/tb:0.17.8":      {Scheme: "oci", Text: "oci://registry.test/tb:0.17.8"},
		"tuf+https://ann:hushword@tuf.test/": {Scheme: "tuf+https", Text: "tuf+https://tuf.test/"},
	} {
		var other *SchemeError
		if _, err := resolve(text, Options{}); !errors.As(err, &other) || !errors.Is(err, ErrOption) || *other != want {
			t.Errorf("%s: %v, %+v", text, err, other)
		}
		want.Mirror = true
		if _, err := resolve("0.17.8", Options{Mirror: text}); !errors.As(err, &other) || other.Mirror != true || other.Scheme != want.Scheme || strings.Contains(other.Text, "hushword") {
			t.Errorf("mirror %s: %v, %+v", text, err, other)
		}
	}
}
