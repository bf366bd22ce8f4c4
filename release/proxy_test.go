package release

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestProxyVariables(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		value string
		ok    bool
	}{
		{"", true},
		{"proxy", true},
		{"proxy:3128", true},
		{"10.0.0.1:3128", true},
		{"[::1]:3128", true},
		{"localhost:3128/", true},
		{"hunter2:hunter2@proxy:3128", true},
		{"http://proxy", true},
		{"HTTP://proxy:3128/", true},
		{"https://hunter2:p%25ss@proxy:3128", true},
		{"http://hunter2:p%2Fs%40s@proxy:3128", true},
		{"socks5://hunter2:hunter2@proxy:1080", true},
		{"http://hunter2:p%ss@proxy:3128", false},
		{"hunter2:p%ss@proxy:3128", false},
		{"http://hunter2:hunter/2@proxy:3128", false},
		{"http://hunter2:1/hunter2@proxy:3128", false},
		{"hunter2:1/hunter2@proxy:3128", false},
		{"http://hunter2:1?hunter2@proxy:3128", false},
		{"http://hunter2:1#hunter2@proxy:3128", false},
		{"http://proxy:hunter2", false},
		{"http://", false},
		{"http:///hunter2", false},
		{"http://hunter2@", false},
		{"http://:3128", false},
		{":3128", false},
		{"http:/hunter2:3128", false},
		{"http:hunter2:3128", false},
		{"://hunter2", false},
		{"//hunter2", false},
		{" http://hunter2:3128", false},
		{"http://hunter2:3128\n", false},
		{"http://hun ter2:3128", false},
	} {
		for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
			err := checkProxyVariables(environment(map[string]string{name: tc.value}))
			if tc.ok && err != nil || !tc.ok && (!errors.Is(err, ErrOption) || !strings.Contains(err.Error(), name)) {
				t.Errorf("%s=%q: %v", name, tc.value, err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s=%q is told: %v", name, tc.value, err)
			}
		}
	}
	// As in net/http, what is written in lower case counts only where the other is empty.
	if err := checkProxyVariables(environment(map[string]string{"HTTPS_PROXY": "proxy", "https_proxy": "http://"})); err != nil {
		t.Error(err)
	}
	if err := checkProxyVariables(environment(map[string]string{"HTTPS_PROXY": "", "https_proxy": "http://"})); !errors.Is(err, ErrOption) {
		t.Error(err)
	}
}

func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

// TestMalformedProxy runs itself again with a proxy in the environment that net/http would pass over:
// nothing goes out without it, while what needs no network is fetched, and a caller's transport is used.
func TestMalformedProxy(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestMalformedProxyChild$", "-test.v")
	cmd.Env = append(os.Environ(), "RELEASE_TEST_MALFORMED_PROXY=1", "HTTPS_PROXY=http://user:p%ss@proxy:3128", "NO_PROXY=")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestMalformedProxyChild(t *testing.T) {
	if os.Getenv("RELEASE_TEST_MALFORMED_PROXY") == "" {
		t.Skip("this is the other half of TestMalformedProxy, which runs it")
	}
	zip := zipped(t, program(10_000, 1))
	path := filepath.Join(t.TempDir(), "x.zip")
	if err := os.WriteFile(path, zip, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := fetch(t, path, Options{}); err != nil {
		t.Errorf("a file: %v", err)
	}
	s := newServer(t, map[string]*file{assetPath: {data: zip}})
	if _, _, err := fetch(t, "0.17.8", Options{BaseURL: s.URL}); !errors.Is(err, ErrOption) || !strings.Contains(err.Error(), "HTTPS_PROXY") {
		t.Errorf("fetch: %v", err)
	}
	if _, err := List(t.Context(), Options{APIURL: s.URL}); !errors.Is(err, ErrOption) || !strings.Contains(err.Error(), "HTTPS_PROXY") {
		t.Errorf("list: %v", err)
	}
	if paths := s.paths(); len(paths) > 0 {
		t.Errorf("asked for %v", paths)
	}
	if _, _, err := fetch(t, "0.17.8", Options{BaseURL: s.URL, Transport: s.Client().Transport}); err != nil {
		t.Errorf("with a transport: %v", err)
	}
}
