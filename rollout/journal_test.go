package rollout_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/rollout"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// A line of the journal, or counters, with more fields than tbctl writes are passed over without reading them.
func TestJournalHostile(t *testing.T) {
	t.Parallel()
	journal := &rollout.Journal{FS: memfs.New(memfs.Options{}), Dir: "/"}
	var fields strings.Builder
	for field := range 200 {
		fmt.Fprintf(&fields, `,"k%d":0`, field)
	}
	for path, text := range map[string]string{
		journal.Path():                         `{"request":"swap","host":"tb0"}` + "\n" + `{"request":"swap","host":"evil"` + fields.String() + "}\n",
		journal.Dir + "/rollout-counters.json": `{"runs":7` + fields.String() + "}",
	} {
		err := durable.WriteFile(journal.FS, path, 0o600, true, func(w io.Writer) error { _, err := io.WriteString(w, text); return err })
		if err != nil {
			t.Fatal(err)
		}
	}
	var hosts []string
	if err := journal.Entries(func(e rollout.Entry) { hosts = append(hosts, e.Host) }); err != nil || strings.Join(hosts, " ") != "tb0" {
		t.Errorf("entries of %q, %v", hosts, err)
	}
	if counters, err := journal.Lifetime(); err != nil || counters.Runs != 0 {
		t.Errorf("%d runs, %v", counters.Runs, err)
	}
}
