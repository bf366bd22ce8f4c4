package rollout_test

import (
	"bytes"
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
	if err := durable.MkdirAll(journal.FS, "/rollouts", 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		journal.Path("sha256:p"):               `{"rollout":"sha256:p","request":"swap","host":"tb0"}` + "\n" + `{"rollout":"sha256:p","request":"swap","host":"evil"` + fields.String() + "}\n",
		journal.Dir + "/rollout-counters.json": `{"runs":7` + fields.String() + "}",
	} {
		err := durable.WriteFile(journal.FS, path, 0o600, true, func(w io.Writer) error { _, err := io.WriteString(w, text); return err })
		if err != nil {
			t.Fatal(err)
		}
	}
	var hosts []string
	if err := journal.Entries("sha256:p", func(e rollout.Entry) { hosts = append(hosts, e.Host) }); err != nil || strings.Join(hosts, " ") != "tb0" {
		t.Errorf("entries of %q, %v", hosts, err)
	}
	if counters, err := journal.Lifetime(); err != nil || counters.Runs != 0 {
		t.Errorf("%d runs, %v", counters.Runs, err)
	}
}

// The requests for one plan, however many, push out none of another; those of earlier versions are found; and only so many plans are kept.
func TestJournalOfEachPlan(t *testing.T) {
	t.Parallel()
	name := func(number int) string { return fmt.Sprintf("sha256:%064d", number) }
	journal := &rollout.Journal{FS: memfs.New(memfs.Options{}), Dir: "/"}
	requests := func(plan string) (count int) {
		t.Helper()
		if err := journal.Entries(plan, func(rollout.Entry) { count++ }); err != nil {
			t.Fatal(err)
		}
		return count
	}
	line := func(plan string) []byte { return []byte(`{"request":"swap","host":"tb0","rollout":"` + plan + `"}`) }
	for _, plan := range []string{name(1), name(2)} {
		if err := durable.Append(t.Context(), journal.FS, "/rollout.jsonl", line(plan)); err != nil {
			t.Fatal(err)
		}
	}
	journal.Note(t.Context(), rollout.Entry{Rollout: name(1), Request: rollout.RequestSwap})
	long := bytes.Replace(line(name(2)), []byte("{"), []byte(`{"reason":"`+strings.Repeat("x", 3900)+`",`), 1)
	err := durable.WriteFile(journal.FS, journal.Path(name(2)), 0o600, true, func(w io.Writer) error {
		_, err := w.Write(bytes.Repeat(append(long, '\n'), 4<<20/len(long)+1))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		journal.Note(t.Context(), rollout.Entry{Rollout: name(2), Request: rollout.RequestClaim})
	}
	if one, other := requests(name(1)), requests(name(2)); one != 2 || other < rollout.EntriesMin || journal.Err() != nil {
		t.Errorf("%d and %d requests are kept, %v", one, other, journal.Err())
	}
	for number := 3; number < rollout.PlansMax+8; number++ {
		again := &rollout.Journal{FS: journal.FS, Dir: journal.Dir} // another run
		again.Note(t.Context(), rollout.Entry{Rollout: name(number), Request: rollout.RequestSwap})
	}
	dir, err := journal.FS.OpenDir("/rollouts")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	names, err := dir.List("", 4*rollout.PlansMax)
	if err != nil || len(names) > rollout.PlansMax+1 || requests(name(rollout.PlansMax+7)) != 1 {
		t.Errorf("%d files are kept, %v", len(names), err)
	}
}
