package replica_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

func release(text string) multiversion.Release {
	r, err := multiversion.ParseRelease(text)
	if err != nil {
		panic(err)
	}
	return r
}

func list(texts string) []multiversion.Release {
	var all []multiversion.Release
	for _, text := range strings.Fields(texts) {
		all = append(all, release(text))
	}
	return all
}

// header makes one of texts such as "0.1.1 0.1.2v 0.1.3", the last being the current release.
func header(texts string) *multiversion.Header {
	var h multiversion.Header
	fields := strings.Fields(texts)
	for _, field := range fields[:len(fields)-1] {
		text, visit := strings.CutSuffix(field, "v")
		h.Past = append(h.Past, multiversion.Past{Release: release(text), Visit: visit})
	}
	h.Current.Release = release(fields[len(fields)-1])
	return &h
}

func TestAccepts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, header, running, offered string
		reason                         error
		missing                        string
	}{
		{"the same again", "0.1.1 0.1.2", "0.1.2", "0.1.1 0.1.2", nil, ""},
		{"one newer", "0.1.1 0.1.2 0.1.3", "0.1.2", "0.1.1 0.1.2", nil, ""},
		{"older ones may go", "0.1.2 0.1.3", "0.1.2", "0.1.1 0.1.2", nil, ""},
		{"running is gone", "0.1.3 0.1.4", "0.1.2", "", replica.ErrRunningVersionNotIncluded, "0.1.2"},
		{"running is newer than all", "0.1.1 0.1.2", "0.1.3", "0.1.3", replica.ErrRunningVersionNotIncluded, "0.1.3"},
		{"an offered one is gone", "0.1.2 0.1.4", "0.1.2", "0.1.2 0.1.3", replica.ErrNotSuperset, "0.1.3"},
		{"a rollback of an armed one", "0.1.1 0.1.2", "0.1.2", "0.1.1 0.1.2 0.1.3", replica.ErrNotSuperset, "0.1.3"},
		{"held back by a visit", "0.1.2 0.1.3v 0.1.4 0.1.5", "0.1.2", "0.1.2 0.1.4", replica.ErrNotSuperset, "0.1.4"},
		{"no visit from there on", "0.1.2 0.1.3v 0.1.4 0.1.5", "0.1.3", "0.1.3 0.1.4", nil, ""},
		{"nothing offered yet", "0.1.2 0.1.3", "0.1.2", "", nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := replica.Accepts(header(test.header), release(test.running), list(test.offered))
			if !errors.Is(err, test.reason) {
				t.Fatalf("error %v, want %v", err, test.reason)
			}
			if refusal, ok := errors.AsType[*replica.Refusal](err); ok && refusal.Missing != release(test.missing) {
				t.Errorf("missing %s, want %s", refusal.Missing, test.missing)
			}
		})
	}
}
