package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
)

// A replica's data file has a name that looks like lines of tbctl's: in what is said of the
// replica it stays a name.
func TestLiveHostileDataFile(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	odd := filepath.Join(l.dir, hostile)
	if err := os.Rename(l.data, odd); err != nil {
		t.Fatal(err)
	}
	l.data = odd
	l.start(standin.Options{})
	far := l.binary("0.17.12", "0.17.10", "0.17.11")
	for _, args := range [][]string{
		{"status", l.target}, {"status", l.target, "--color=always"}, {"install", far, l.target}, {"install", far, l.target, "--dry-run"},
		{"rollback", l.target}, {"watch", l.target, "--until", "armed", "--timeout", "10s"}, {"inspect", l.data},
		{"verify", far, "--against", l.target, "--data-file", l.data},
	} {
		said := l.tbctl(args...)
		for line := range strings.Lines(said.out + said.err) {
			harmless(t, args, line, strings.HasPrefix(args[len(args)-1], "--color"))
		}
		if args[0] == "status" && !strings.Contains(said.out, "\ufffd[2J") {
			t.Errorf("%q does not show the data file: %s", args, said.out)
		}
	}
}
