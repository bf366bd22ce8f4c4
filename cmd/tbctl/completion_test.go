package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/release"
)

// TestCompletionOfListedReleases: what "tbctl releases" has once seen is offered
// when the server is gone, and nothing is asked of it.
func TestCompletionOfListedReleases(t *testing.T) {
	t.Parallel()
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.Header().Set("ETag", `"one"`)
		_, _ = io.WriteString(w, `[{"tag_name": "9.8.7", "published_at": "2031-02-03T04:05:06Z"}, {"tag_name": "9.8.6"}]`)
	}))
	defer server.Close()
	cache := t.TempDir()
	environment := map[string]string{
		"TBCTL_CACHE_DIR": cache, "TBCTL_API_URL": server.URL, "TBCTL_STATE_DIR": t.TempDir(), "TBCTL_CONFIG": "/dev/null", "HOME": cache,
	}
	getenv := func(name string) string { return environment[name] }
	press := func() string {
		var out, errs bytes.Buffer
		code := run([]string{"__complete", "--", "install", ""}, streams{in: strings.NewReader(""), out: &out, err: &errs}, getenv)
		if code != 0 || errs.Len() > 0 {
			t.Errorf("code %d, standard error %q", code, errs.String())
		}
		return out.String()
	}
	if got := press(); strings.Contains(got, "9.8.7") || requests != 0 {
		t.Errorf("before there is a list: %d requests, %q", requests, got)
	}
	if _, err := release.List(t.Context(), release.Options{CacheDir: cache, APIURL: server.URL}); err != nil {
		t.Fatal(err)
	}
	got := press()
	if !strings.Contains(got, "9.8.7\tpublished on 2031-02-03\n9.8.6\tin the list\n") || requests != 1 {
		t.Errorf("%d requests, %q", requests, got)
	}
}
