package candidates_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/completions"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/candidates"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

func values(candidates []completions.Candidate) []string {
	var texts []string
	for _, candidate := range candidates {
		texts = append(texts, candidate.Value)
	}
	return texts
}

// TestHost: a binary's releases come before what is known elsewhere, and what cannot be read has none.
func TestHost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target, packed := filepath.Join(dir, "tigerbeetle"), filepath.Join(dir, "packed.zip")
	binary := testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.2"), Past: testbin.PastOf("0.17.1")})
	testbin.WriteFile(t, target, binary)
	testbin.WriteFile(t, packed, testbin.Zip(t, "tigerbeetle", binary, testbin.ZipOptions{}))
	here := candidates.Host{Target: target, Journal: &install.Journal{FS: vfs.OS(), Dir: dir}, List: release.Options{Mirror: filepath.Join(dir, "none"), CacheDir: dir}}
	if got := values(here.Releases(t.Context())); !slices.Equal(got, []string{"0.17.2", "0.17.1"}) {
		t.Errorf("of the target: %q", got)
	}
	if got := values(here.Tags(t.Context())); !slices.Equal(got, []string{"latest", "0.17.2", "0.17.1"}) {
		t.Errorf("the tags are %q", got)
	}
	if got := values(here.Releases(t.Context(), packed)); !slices.Equal(got, []string{"0.17.2", "0.17.1"}) { // all that is known here
		t.Errorf("of an archive that would have to be unpacked: %q", got)
	}
	if got := values(here.Targets()); !slices.Equal(got, []string{target}) {
		t.Errorf("the targets are %q", got)
	}
	if got := values(here.Conditions(t.Context())); !slices.Contains(got, "armed=0.17.1") || !slices.Contains(got, "serving") {
		t.Errorf("the conditions are %q", got)
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	for _, candidate := range candidates.Owners("someone:") {
		if !strings.HasPrefix(candidate.Value, "someone:") {
			t.Errorf("a group: %q", candidate.Value)
		}
	}
	for _, candidate := range candidates.Owners("so") {
		if strings.Contains(candidate.Value, ":") || candidate.Value == "" {
			t.Errorf("a user: %q", candidate.Value)
		}
	}
}
