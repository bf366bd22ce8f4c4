package verify_test

import (
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
)

// One swap can walk several stops, and says so beforehand.
func TestPathStops(t *testing.T) {
	t.Parallel()
	header := &multiversion.Header{Current: multiversion.Current{Release: testbin.Release("0.17.9")}, Past: []multiversion.Past{
		{Release: testbin.Release("0.17.6"), Visit: true}, {Release: testbin.Release("0.17.7"), Visit: true}, {Release: testbin.Release("0.17.8")},
	}}
	for _, test := range []struct{ from, path, stops string }{
		{"0.17.5", "0.17.5 → 0.17.6 (visit) → 0.17.7 (visit) → 0.17.9", "each stop restarts every replica, 3 times in all"},
		{"0.17.6", "0.17.6 → 0.17.7 (visit) → 0.17.9", "each stop restarts every replica, 2 times in all"},
		{"0.17.7", "0.17.7 → 0.17.9", ""},
		{"0.17.9", "0.17.9", ""},
	} {
		path := verify.PathFrom(header, testbin.Release(test.from))
		if path.String() != test.path || path.Stops() != test.stops {
			t.Errorf("%s: %s: %q, want %s: %q", test.from, path, path.Stops(), test.path, test.stops)
		}
	}
}
