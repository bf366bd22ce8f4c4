package release

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// guarded is an API that takes no token, for the reason that a status gives.
func guarded(t *testing.T, status int, open func(w http.ResponseWriter, r *http.Request)) (url string, told func() []string) {
	t.Helper()
	var tokens []string
	s := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		tokens = append(tokens, r.Header.Get("Authorization"))
		if r.Header.Get("Authorization") != "" {
			http.Error(w, `{"message":"Bad credentials"}`, status)
			return
		}
		open(w, r)
	})
	return s.URL, func() []string { return tokens }
}

// TestTokenNotTaken goes on without a token that the API does not take, says so, and does not send it again.
func TestTokenNotTaken(t *testing.T) {
	t.Parallel()
	zip := zipped(t, program(10_000, 1))
	asset := newServer(t, map[string]*file{assetPath: {data: zip}})
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound} {
		api, told := guarded(t, status, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/releases" {
				fmt.Fprintf(w, `[%s]`, apiRelease("0.17.8", len(zip), "null"))
				return
			}
			fmt.Fprint(w, apiRelease("0.17.8", len(zip), `"sha256:`+sumOf(zip)+`"`))
		})
		want := fmt.Sprintf("answered %d", status)
		l, err := List(t.Context(), Options{APIURL: api, Token: "t0ken", Retry: quick})
		if err != nil || len(l.Releases) != 1 || !strings.Contains(l.TokenNote, want) {
			t.Errorf("%d: %+v, %v", status, l, err)
		}
		f, _, err := fetch(t, "latest", Options{BaseURL: asset.URL, APIURL: api, Token: "t0ken", Require: RequireDigest})
		if err != nil || !f.Trusted || f.Tag != "0.17.8" || !strings.Contains(f.TokenNote, want) {
			t.Errorf("%d: %+v, %v", status, f, err)
		}
		if got := fmt.Sprintf("%q", told()); got != `["Bearer t0ken" "" "Bearer t0ken" "" ""]` {
			t.Errorf("%d: the API was told %s", status, got)
		}
	}
}

// TestTokenAndNothing names the token when the API answers neither with it nor without.
func TestTokenAndNothing(t *testing.T) {
	t.Parallel()
	limited := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.WriteHeader(http.StatusForbidden)
	}
	for name, tc := range map[string]struct {
		status int
		open   http.HandlerFunc
		token  bool // is named
	}{
		"never without":  {http.StatusUnauthorized, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusUnauthorized) }, true},
		"limit":          {http.StatusUnauthorized, limited, true},
		"limit, 403":     {http.StatusForbidden, limited, true},
		"not its fault":  {http.StatusForbidden, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusForbidden) }, false},
		"not there, too": {http.StatusUnauthorized, http.NotFound, true},
	} {
		api, told := guarded(t, tc.status, tc.open)
		_, err := List(t.Context(), Options{APIURL: api, Token: "t0ken", Retry: quick})
		var token *TokenError
		var answer *HTTPError
		var limit *RateLimitError
		if errors.As(err, &token) != tc.token || !errors.As(err, &answer) && !errors.As(err, &limit) || strings.Contains(err.Error(), "t0ken") {
			t.Errorf("%s: %v", name, err)
		}
		if len(told()) != 2 {
			t.Errorf("%s: %q", name, told())
		}
	}
}

// TestTokenOfOddCharacters is not sent, and the API is asked without it. Blanks around a token are not part of it.
func TestTokenOfOddCharacters(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]string{"a\nb": "", "a b": "", "tök": "", "t0ken\n": "Bearer t0ken", " \t": ""} {
		var told atomic.Value
		s := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
			told.Store(r.Header.Get("Authorization"))
			fmt.Fprint(w, `[]`)
		})
		l, err := List(t.Context(), Options{APIURL: s.URL, Token: token, Retry: quick})
		if err != nil || told.Load() != want || (l.TokenNote != "") != (want == "" && strings.TrimSpace(token) != "") {
			t.Errorf("%q: %+v, told %q, %v", token, l, told.Load(), err)
		}
	}
}

// TestTokenStaysHome sends the token to the API's host alone: it follows no link to a next page and no redirect
// to another host, and comes back to no request after one.
func TestTokenStaysHome(t *testing.T) {
	t.Parallel()
	var stolen atomic.Value
	var api string
	elsewhere := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		if token := r.Header.Get("Authorization"); token != "" {
			stolen.Store(token)
		}
		if r.URL.Path == "/back" {
			http.Redirect(w, r, api+"/list", http.StatusFound)
			return
		}
		fmt.Fprint(w, `[]`)
	})
	var home []string
	s := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		home = append(home, r.URL.Path+" "+r.Header.Get("Authorization"))
		switch r.URL.Path {
		case "/next/releases":
			w.Header().Set("Link", `<`+elsewhere.URL+`/releases?page=2>; rel="next"`)
			fmt.Fprint(w, `[]`)
		case "/away/releases":
			http.Redirect(w, r, elsewhere.URL+"/there", http.StatusTemporaryRedirect)
		case "/return/releases":
			http.Redirect(w, r, elsewhere.URL+"/back", http.StatusMovedPermanently)
		default:
			fmt.Fprint(w, `[]`)
		}
	})
	api = s.URL
	for path, fails := range map[string]bool{"/next": true, "/away": false, "/return": false} {
		home = nil
		_, err := List(t.Context(), Options{APIURL: s.URL + path, Token: "t0ken", Retry: quick})
		if (err != nil) != fails || home[0] != path+"/releases Bearer t0ken" {
			t.Errorf("%s: %v, %q", path, err, home)
		}
		if path == "/return" && (len(home) != 2 || home[1] != "/list ") {
			t.Errorf("%s: %q", path, home)
		}
	}
	if token := stolen.Load(); token != nil {
		t.Errorf("another host was told %q", token)
	}
}
