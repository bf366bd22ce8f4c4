package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
)

// TestAdvisories tells that a release is to be skipped by what the file is, in whichever way it comes, once, and in
// the document too.
func TestAdvisories(t *testing.T) {
	t.Parallel()
	needAllSeen(t)
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	build := func(current string, past ...string) []byte {
		return testbin.Build(t, tinyelf.Spec(multiversion.ThisPlatform(), 0, current, past...))
	}
	older, skipped, newer := build("0.17.4", "0.17.3"), build("0.17.7", "0.17.3", "0.17.4"), build("0.17.8", "0.17.4", "0.17.7v")
	zip := testbin.Zip(t, "tigerbeetle", skipped, testbin.ZipOptions{})
	file, archive, next := write("skipped", skipped), write("x.zip", zip), write("newer", newer)
	write("mirror/0.17.7/"+assetName(), zip)
	write("mirror/0.17.7-1/"+assetName(), zip)
	write("flat/"+assetName(), zip)
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	mirror, flat := filepath.Join(dir, "mirror"), filepath.Join(dir, "flat")

	for name, tc := range map[string]struct {
		installed, old []byte
		args           []string // TB is the target
		about          advisory.About
	}{
		"release":             {older, nil, []string{"install", "0.17.7", "TB", "--mirror", mirror}, advisory.AboutFile},
		"latest":              {older, nil, []string{"install", "latest", "TB", "--mirror", flat}, advisory.AboutFile},
		"file":                {older, nil, []string{"install", file, "TB"}, advisory.AboutFile},
		"archive":             {older, nil, []string{"install", archive, "TB"}, advisory.AboutFile},
		"flat directory":      {older, nil, []string{"install", flat, "TB"}, advisory.AboutFile},
		"URL":                 {older, nil, []string{"install", server.URL + "/x.zip", "TB"}, advisory.AboutFile},
		"standard input":      {older, nil, []string{"install", "-", "TB"}, advisory.AboutFile},
		"dry run":             {older, nil, []string{"install", file, "TB", "--dry-run"}, advisory.AboutFile},
		"already":             {skipped, nil, []string{"install", file, "TB"}, advisory.AboutFile},
		"hop":                 {older, nil, []string{"install", next, "TB"}, advisory.AboutHop},
		"hop, dry run":        {older, nil, []string{"install", next, "TB", "--dry-run"}, advisory.AboutHop},
		"rollback":            {newer, skipped, []string{"rollback", "TB", "--stopped", "--running", "0.17.7"}, advisory.AboutFile},
		"rollback, dry run":   {newer, skipped, []string{"rollback", "TB", "--stopped", "--running", "0.17.7", "--dry-run"}, advisory.AboutFile},
		"status":              {skipped, nil, []string{"status", "TB"}, advisory.AboutInstalled},
		"verify":              {nil, nil, []string{"verify", file}, advisory.AboutFile},
		"verify, a hop":       {older, nil, []string{"verify", next, "--against", "TB"}, advisory.AboutHop},
		"inspect":             {nil, nil, []string{"inspect", archive}, advisory.AboutFile},
		"download":            {nil, nil, []string{"download", archive, "-o", "TB"}, advisory.AboutFile},
		"called a re-release": {older, nil, []string{"install", "0.17.7-1", "TB", "--mirror", mirror}, ""},
		"another":             {skipped, nil, []string{"install", next, "TB"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, asJSON := range []bool{false, true} {
				target := filepath.Join(t.TempDir(), "tb")
				for path, content := range map[string][]byte{target: tc.installed, target + "-old": tc.old} {
					if content == nil {
						continue
					}
					if err := os.WriteFile(path, content, 0o755); err != nil {
						t.Fatal(err)
					}
				}
				args := []string{"--quiet"}
				for _, arg := range tc.args {
					args = append(args, strings.Replace(arg, "TB", target, 1))
				}
				if asJSON {
					args = append(args, "--json")
				}
				r := tellIn(t, bytes.NewReader(zip), nil, args...)
				if r.code != 0 {
					t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
				}
				want := 0
				if tc.about != "" {
					want = 1
				}
				said := r.err + strings.Join(r.document.Warnings, "\n")
				if strings.Count(said, "upstream says to skip 0.17.5 to 0.17.7") != want || strings.Count(said, "the number alone cannot tell") != want {
					t.Errorf("it is not said once:\n%s", said)
				}
				if asJSON {
					checkAdvisories(t, r.out, tc.about)
				}
			}
		})
	}
}

// checkAdvisories requires that the result has the one that is to be skipped, about what it should be.
func checkAdvisories(t *testing.T, document string, about advisory.About) {
	t.Helper()
	type list []struct {
		ID    string
		About advisory.About
	}
	var doc struct {
		Result struct {
			Advisories list
			Files      []struct{ Advisories list }
		}
	}
	if err := json.Unmarshal([]byte(document), &doc); err != nil {
		t.Fatal(err)
	}
	all := doc.Result.Advisories
	for _, file := range doc.Result.Files {
		all = append(all, file.Advisories...)
	}
	found := advisory.About("")
	for _, a := range all {
		if a.ID == "skip-0.17.5" && a.About != advisory.AboutPrevious {
			found = a.About
		}
	}
	if found != about {
		t.Errorf("the document tells of %q, want %q", found, about)
	}
}

// TestAdvisoryOfRecordedTag does not say again of what was installed as a re-release that its original is to be
// skipped.
func TestAdvisoryOfRecordedTag(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	binary := testbin.Build(t, testbin.Spec{Platform: multiversion.ThisPlatform(), Current: testbin.Release("0.17.7"), Past: testbin.PastOf("0.17.4")})
	asset := filepath.Join(dir, "0.17.7-1", assetName())
	if err := os.MkdirAll(filepath.Dir(asset), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(asset, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(dir, "tb")
	for _, args := range [][]string{
		{"install", "0.17.7-1", target, "--mirror", dir}, {"status", target}, {"install", asset, target},
	} {
		if r := tell(t, nil, args...); r.code != 0 || strings.Contains(r.err, "skip") {
			t.Errorf("%v: exit code %d\n%s", args, r.code, r.err)
		}
	}
}
