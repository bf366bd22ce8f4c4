package output_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/internal/output"
	"github.com/tbctl/tbctl/internal/standin/zone"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

func judge(report verify.Report) error { return report.Err("what came") }

// TestDraft: what is at the name already stays, untouched; anything else is in the way, unless it is to be replaced.
func TestDraft(t *testing.T) {
	t.Parallel()
	binary, other := testbin.Build(t, testbin.Spec{}), testbin.Build(t, testbin.Spec{Debug: true})
	if bytes.Equal(binary, other) {
		t.Fatal("two binaries are one")
	}
	for name, test := range map[string]struct {
		there     []byte
		meanwhile []byte // put there while it comes
		force     bool
		err       error
		after     []byte
		already   bool
	}{
		"nothing":           {after: binary},
		"the same":          {there: binary, after: binary, already: true},
		"another release":   {there: other, err: fs.ErrExist, after: other},
		"no binary":         {there: []byte("notes"), err: fs.ErrExist, after: []byte("notes")},
		"replaced":          {there: []byte("notes"), force: true, after: binary},
		"changed meanwhile": {there: binary, meanwhile: other, err: fs.ErrExist, after: other},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "tigerbeetle")
			if test.there != nil {
				testbin.WriteFile(t, path, test.there)
			}
			before, _ := os.Stat(path)
			already, err := write(t, path, test.force, binary, func() {
				if test.meanwhile != nil {
					testbin.WriteFile(t, path+".new", test.meanwhile)
					if err := os.Rename(path+".new", path); err != nil {
						t.Error(err)
					}
				}
			})
			if !errors.Is(err, test.err) || already != test.already && err == nil {
				t.Errorf("%v, already %t, want %v and %t", err, already, test.err, test.already)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, test.after) {
				t.Errorf("%d bytes are there, %v, want %d", len(after), err, len(test.after))
			}
			if after, _ := os.Stat(path); test.already && !os.SameFile(before, after) {
				t.Error("the file that was there is another one now")
			}
			if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) > 1 {
				t.Errorf("something else is left: %v", entries)
			}
		})
	}
}

func write(t *testing.T, path string, force bool, content []byte, meanwhile func()) (already bool, err error) {
	t.Helper()
	draft, err := output.NewDraft(t.Context(), path, force, judge)
	if err != nil {
		return false, err
	}
	defer draft.Close()
	if _, err := io.Copy(draft, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	meanwhile()
	report, err := draft.Verify(t.Context())
	if err != nil {
		return false, err
	}
	return draft.Already(), draft.Commit(report, func(text string) { t.Error(text) })
}

// TestDraftJudges: what is not whole never gets the name.
func TestDraftJudges(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tigerbeetle")
	binary := testbin.Build(t, testbin.Spec{})
	_, err := write(t, path, false, binary[:len(binary)-1], func() {})
	if _, damaged := errors.AsType[*verify.DamagedError](err); !damaged || !strings.HasPrefix(err.Error(), "what came: ") {
		t.Errorf("%v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is there: %v", err)
	}
	if _, err := output.NewDraft(t.Context(), filepath.Dir(path), false, judge); !errors.Is(err, vfs.ErrDirectory) {
		t.Errorf("a directory: %v", err)
	}
}

// TestCheck: where tbctl installs no ordinary file is written.
func TestCheck(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tigerbeetle")
	testbin.WriteFile(t, path, []byte("x"))
	if err := output.Check(t.Context(), path, nil); err != nil {
		t.Error(err)
	}
	testbin.WriteFile(t, filepath.Join(filepath.Dir(path), ".tigerbeetle.tbctl-lock"), nil)
	if _, installed := errors.AsType[*output.InstalledError](output.Check(t.Context(), path, nil)); !installed {
		t.Error("a file may be written where tbctl installs")
	}
}

// TestCheckInUse: what is known of a target is enough, and neither a data file nor what is read is replaced.
func TestCheckInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target, link, data := filepath.Join(dir, "tigerbeetle"), filepath.Join(dir, "link"), filepath.Join(dir, "0_0.tigerbeetle")
	testbin.WriteFile(t, target, []byte("x"))
	if err := os.Symlink("tigerbeetle", link); err != nil {
		t.Skipf("skipped: %v", err)
	}
	for _, name := range []string{target, link} {
		if _, input := errors.AsType[*output.InputError](output.Check(t.Context(), name, nil, filepath.Join(dir, "none"), "", target)); !input {
			t.Errorf("%s: what is read may be replaced", name)
		}
	}
	zone, err := zone.Encode(&datafile.Superblock{Version: 2, Sequence: 1, Cluster: datafile.NewID(7), ReplicaCount: 1, Release: 1, ReleaseFormat: 1})
	if err != nil {
		t.Fatal(err)
	}
	testbin.WriteFile(t, data, zone[:])
	if _, is := errors.AsType[*output.DataFileError](output.Check(t.Context(), data, nil)); !is {
		t.Error("a data file may be replaced")
	}
	testbin.WriteFile(t, filepath.Join(dir, ".tigerbeetle.tbctl-state"), []byte("{}"))
	if _, installed := errors.AsType[*output.InstalledError](output.Check(t.Context(), link, nil)); !installed {
		t.Error("a file may be written where tbctl installs")
	}
}

// What tbctl keeps beside a target, in its store and in its state directory is no name for an output, by a link to it neither.
func TestCheckKept(t *testing.T) {
	t.Parallel()
	dir, own := t.TempDir(), t.TempDir()
	put := func(name string) string {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
		return name
	}
	old := put(filepath.Join(dir, "tigerbeetle-old"))
	if err := output.Check(t.Context(), old, []string{own}); err != nil {
		t.Errorf("beside no target: %v", err)
	}
	state := put(filepath.Join(dir, ".tigerbeetle.tbctl-state"))
	link := filepath.Join(dir, "link")
	if err := os.Symlink(put(filepath.Join(own, "store", "sha256", "aa")), link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{old, state, put(filepath.Join(own, "history.jsonl")), link} {
		if _, kept := errors.AsType[*output.KeptError](output.Check(t.Context(), name, []string{filepath.Join(own, "none"), own})); !kept {
			t.Errorf("%s is not refused", name)
		}
	}
	if err := output.Check(t.Context(), put(filepath.Join(dir, "other-old")), []string{own}); err != nil {
		t.Errorf("another name: %v", err)
	}
}
