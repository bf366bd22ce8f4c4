package prune_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/prune"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
)

type world struct {
	depot  *depot.Depot
	in     *install.Installer
	target string
	items  map[string]string // digests by the name of the artifact
}

// newWorld has three artifacts that share no release: old, middle and new, which came in that order, and a target.
func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{
		depot: depot.Open(vfs.OS(), filepath.Join(dir, "store")), target: filepath.Join(dir, "tigerbeetle"), items: make(map[string]string),
		in: &install.Installer{FS: vfs.OS(), Journal: &install.Journal{FS: vfs.OS(), Dir: filepath.Join(dir, "state")}},
	}
	for index, name := range []string{"old", "middle", "new"} {
		minor := uint8(10 * (index + 1))
		binary := testbin.Build(t, testbin.Spec{Current: multiversion.NewRelease(0, 17, minor), Past: []testbin.Past{{Release: multiversion.NewRelease(0, 17, minor-1)}}})
		writer, err := w.depot.Create(0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := writer.Write(binary); err != nil {
			t.Fatal(err)
		}
		artifact, err := writer.Commit(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		receipt := depot.Receipt{Kind: depot.KindImport, Source: name, Time: time.Date(2026, 1, index+1, 0, 0, 0, 0, time.UTC)}
		if err := w.depot.AddReceipts(t.Context(), artifact.SHA256, receipt); err != nil {
			t.Fatal(err)
		}
		w.items[name] = artifact.SHA256
	}
	return w
}

// state writes what is kept beside the target.
func (w *world) state(t *testing.T, text string) {
	t.Helper()
	for name, digest := range w.items {
		text = strings.ReplaceAll(text, "{"+name+"}", digest)
	}
	path := filepath.Join(filepath.Dir(w.target), ".tigerbeetle.tbctl-state")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// history writes the history.
func (w *world) history(t *testing.T, lines string) {
	t.Helper()
	path := w.in.Journal.Path()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(lines), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func (w *world) pruning(keep int, dry bool) *prune.Pruning {
	return &prune.Pruning{Depot: w.depot, Installer: w.in, Targets: []string{w.target}, Newest: keep, DryRun: dry}
}

// left are the names of the artifacts that are there.
func (w *world) left(t *testing.T) []string {
	t.Helper()
	var names []string
	for name, digest := range w.items {
		if _, err := w.depot.Stat(digest); err == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

const fence = `{"version":2,"fence":{"generation":1,"epoch":1,"plan":"sha256:%064d","cluster":"7","holder":{"id":"a","who":"b","since":"2026-01-01T00:00:00Z"},"phase":"%s","artifact":"sha256:{middle}","previous":"sha256:{old}"}}`

func TestKeeps(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		state string
		keep  int
		want  []string
	}{
		"nothing is known":         {"", 0, nil},
		"the newest":               {"", 1, []string{"new"}},
		"two of the newest":        {"", 2, []string{"middle", "new"}},
		"installed":                {`{"version":1,"installed":{"sha256":"{old}","size":1}}`, 0, []string{"old"}},
		"previous":                 {`{"version":1,"previous":{"sha256":"{old}","size":1}}`, 1, []string{"new", "old"}},
		"an operation under way":   {`{"version":1,"next":{"operation":{"version":1},"installed":{"sha256":"{middle}","size":1},"previous":{"sha256":"{old}","size":1}}}`, 0, []string{"middle", "old"}},
		"a rollout holds it":       {fmt.Sprintf(fence, 1, "armed"), 0, []string{"middle", "old"}},
		"a rollout has ended":      {fmt.Sprintf(fence, 1, "done"), 0, []string{"middle", "old"}},
		"a replica was seen at":    {`{"version":1,"reached":{"release":"0.17.19","time":"2026-01-01T00:00:00Z"}}`, 0, []string{"middle"}},
		"a data file that is gone": {`{"version":1,"data_files":["/nowhere/0_0.tigerbeetle"]}`, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if test.state != "" {
				w.state(t, test.state)
			}
			planned, err := w.pruning(test.keep, true).Run(t.Context())
			if err != nil || len(w.left(t)) != 3 {
				t.Fatalf("the dry run: %v, left %q", err, w.left(t))
			}
			done, err := w.pruning(test.keep, false).Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := w.left(t); !slices.Equal(got, test.want) {
				t.Errorf("left %q, want %q", got, test.want)
			}
			for index, decision := range done.Artifacts {
				before := planned.Artifacts[index]
				if before.SHA256 != decision.SHA256 || before.Keep != decision.Keep || !slices.Equal(before.Why, decision.Why) || decision.Removed == decision.Keep {
					t.Errorf("planned %+v, done %+v", before, decision)
				}
			}
			if planned.Removed != done.Removed || planned.Freed != done.Freed || done.Removed != 3-len(test.want) {
				t.Errorf("planned %d, %d bytes; done %d, %d bytes", planned.Removed, planned.Freed, done.Removed, done.Freed)
			}
		})
	}
}

// TestNoBinary: what is no binary and has no receipt goes, however new it is, unless a rollout names it.
func TestNoBinary(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		content, receipt, state string
		want                    bool // it stays
	}{
		"junk":                        {"junk", "", "", false},
		"junk that somebody imported": {"junk", depot.KindImport, "", true},
		"junk that a rollout brings":  {"junk", "", strings.ReplaceAll(fmt.Sprintf(fence, 1, "armed"), "{middle}", "{junk}"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			writer, err := w.depot.Create(0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := writer.Write([]byte(test.content)); err != nil {
				t.Fatal(err)
			}
			artifact, err := writer.Commit(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			if test.receipt != "" {
				if err := w.depot.AddReceipts(t.Context(), artifact.SHA256, depot.Receipt{Kind: test.receipt}); err != nil {
					t.Fatal(err)
				}
			}
			w.items["junk"] = artifact.SHA256
			if test.state != "" {
				w.state(t, test.state)
			}
			if _, err := w.pruning(4, false).Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := []string{"junk", "middle", "new", "old"}
			if !test.want {
				want = want[1:]
			}
			if got := w.left(t); !slices.Equal(got, want) {
				t.Errorf("left %q, want %q", got, want)
			}
		})
	}
}

// TestUnknown holds that nothing goes when it cannot be found out what is needed.
func TestUnknown(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*testing.T, *world){
		"a state that is none":                                        func(t *testing.T, w *world) { w.state(t, "{") },
		"a state of a newer tbctl":                                    func(t *testing.T, w *world) { w.state(t, `{"version":99}`) },
		"a history of which a line is torn":                           func(t *testing.T, w *world) { w.history(t, `{"version":1,"target":"/srv`+"\n") },
		"a history of which the last line is torn":                    func(t *testing.T, w *world) { w.history(t, `{"version":1,"target":"/srv`) },
		"a line that is torn after a target of which nothing is kept": func(t *testing.T, w *world) { w.history(t, tornRecord(w.target)) },
		"a line that is torn after a target that is not there":        func(t *testing.T, w *world) { w.history(t, tornRecord("/nowhere/tigerbeetle")) },
		"a line with a broken byte": func(t *testing.T, w *world) {
			w.state(t, `{"version":1,"installed":{"sha256":"{old}","size":1}}`)
			w.history(t, strings.Replace(tornRecord(w.target), `"operation":`, `"operation"\x01`, 1)+`"}`)
		},
		"a data file that tells nothing": func(t *testing.T, w *world) {
			file := filepath.Join(filepath.Dir(w.target), "0_0.tigerbeetle")
			if err := os.WriteFile(file, []byte("not a data file"), 0o600); err != nil {
				t.Fatal(err)
			}
			w.state(t, fmt.Sprintf(`{"version":1,"data_files":[%q]}`, file))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			spoil(t, w)
			var unknown *prune.UnknownError
			if result, err := w.pruning(0, false).Run(t.Context()); !errors.As(err, &unknown) || result != nil || len(w.left(t)) != 3 {
				t.Errorf("%v, %+v, left %q", err, result, w.left(t))
			}
		})
	}
}

func tornRecord(target string) string {
	return fmt.Sprintf(`{"version":1,"id":"a","phase":"outcome","time":"2026-01-01T00:00:00Z","operation":"install","target":%q,"command":"tbctl ins`, target)
}

// TestTorn holds that a record that is cut short behind its target keeps nothing from being removed but what that target needs, also one that only
// that record names.
func TestTorn(t *testing.T) {
	t.Parallel()
	for name, tail := range map[string]string{"the last line": "", "a line before others": "\n" + `{"version":1,"id":"b","target":"/nowhere/else","phase":"outcome"}` + "\n", "with zeros": strings.Repeat("\x00", 512) + "\n"} {
		w := newWorld(t)
		w.state(t, `{"version":1,"installed":{"sha256":"{old}","size":1}}`)
		w.history(t, tornRecord(w.target)+tail)
		pruning := w.pruning(0, false)
		pruning.Targets = nil
		result, err := pruning.Run(t.Context())
		if err != nil || !slices.Equal(w.left(t), []string{"old"}) || !slices.ContainsFunc(result.Notes, func(note string) bool { return strings.Contains(note, "a record of "+w.target+" is cut short") }) {
			t.Errorf("%s: %v, left %q, %+v", name, err, w.left(t), result)
		}
	}
	w := newWorld(t)
	w.history(t, `{"version":1,"id":"b","target":"/nowhere/else","phase":"outcome"}`+"\n\n"+`{"vers`+"\n")
	_, err := w.pruning(0, false).Run(t.Context())
	if lines, ok := errors.AsType[*prune.LinesError](err); !ok || lines.Path != w.in.Journal.Path() || !slices.Equal(lines.Numbers, []int{3}) || lines.More {
		t.Errorf("%v", err)
	}
}

// TestReceiptsTorn holds that what may have been imported, since its receipts cannot be read, does not go as junk that nobody asked for.
func TestReceiptsTorn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	writer, err := w.depot.Create(0)
	if err == nil {
		_, err = writer.Write([]byte("a script that somebody imported"))
	}
	if err != nil {
		t.Fatal(err)
	}
	artifact, err := writer.Commit(t.Context(), "")
	if err == nil {
		err = os.WriteFile(w.depot.Path(artifact.SHA256)+".receipts", []byte(`[{"kind":"imp`), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.items["script"] = artifact.SHA256
	if _, err := w.pruning(0, false).Run(t.Context()); err != nil || !slices.Equal(w.left(t), []string{"script"}) {
		t.Errorf("%v, left %q", err, w.left(t))
	}
}

// TestUnmounted holds that of a target whose directory is not there the history's last files are kept.
func TestUnmounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	target := filepath.Join(filepath.Dir(w.target), "srv", "tigerbeetle")
	record := install.Record{
		Version: 1, ID: "a", Operation: install.OperationInstall, Phase: install.PhaseOutcome, Result: install.ResultInstalled, Target: target,
		Old: &install.File{SHA256: w.items["old"]}, New: &install.File{SHA256: w.items["middle"]},
	}
	line, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	w.history(t, string(line)+"\n")
	result, err := w.pruning(0, false).Run(t.Context())
	if err != nil || !slices.Equal(w.left(t), []string{"middle", "old"}) || !slices.ContainsFunc(result.Notes, func(note string) bool { return strings.Contains(note, target+" is not there") }) {
		t.Errorf("%v, left %q, %+v", err, w.left(t), result)
	}
}

// TestNeededMeanwhile holds that what is needed is found out again before each artifact goes.
func TestNeededMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fsys := &meanwhile{FS: vfs.OS()}
	w.depot = depot.Open(fsys, w.depot.Dir())
	fsys.removed = func() { // when the first is gone, the second is installed
		w.state(t, `{"version":1,"installed":{"sha256":"{middle}","size":1}}`)
	}
	result, err := w.pruning(0, false).Run(t.Context())
	if err != nil || !slices.Equal(w.left(t), []string{"middle"}) || result.Removed != 2 {
		t.Fatalf("%v, left %q, %+v", err, w.left(t), result)
	}
	for _, decision := range result.Artifacts {
		if decision.SHA256 == w.items["middle"] && (!decision.Keep || decision.Removed || len(decision.Why) != 1 || decision.Why[0].Kind != prune.KindInstalled) {
			t.Errorf("%+v", decision)
		}
	}
}

// meanwhile tells of the first artifact that is removed.
type meanwhile struct {
	vfs.FS
	removed func()
	done    bool
}

func (m *meanwhile) OpenDir(name string) (vfs.Dir, error) {
	dir, err := m.FS.OpenDir(name)
	return &meanwhileDir{dir, m}, err
}

type meanwhileDir struct {
	vfs.Dir
	m *meanwhile
}

func (d *meanwhileDir) Remove(name string) error {
	err := d.Dir.Remove(name)
	if sha.Is(name) && !d.m.done {
		d.m.done = true
		d.m.removed()
	}
	return err
}

// TestTwo prunes twice at once: each artifact goes once, and neither run fails.
func TestTwo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type answer struct {
		result *prune.Result
		err    error
	}
	answers := make(chan answer, 2)
	for range 2 {
		go func() {
			result, err := w.pruning(1, false).Run(context.Background())
			answers <- answer{result, err}
		}()
	}
	removed := 0
	for range 2 {
		answer := <-answers
		if answer.err != nil {
			t.Fatal(answer.err)
		}
		removed += answer.result.Removed
	}
	if got := w.left(t); removed != 2 || !slices.Equal(got, []string{"new"}) {
		t.Errorf("%d removed, left %q", removed, got)
	}
	if items, err := shelf.List(t.Context(), w.depot); err != nil || len(items) != 1 {
		t.Errorf("%v, %v", items, err)
	}
}
