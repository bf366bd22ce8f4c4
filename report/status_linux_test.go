package report_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/vfs"
)

// files are the names, sizes and times of all that is in a directory.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			all = append(all, strings.Join([]string{path, info.Mode().String(), info.ModTime().String()}, " "))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestStatus follows a target from nothing to a replica that runs, and requires that looking
// changes nothing.
func TestStatus(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	dir := filepath.Dir(binary)
	in := &install.Installer{FS: vfs.OS(), Journal: &install.Journal{FS: vfs.OS(), Dir: t.TempDir()}}
	look := func(name string) *report.Status {
		t.Helper()
		before := files(t, dir)
		status, err := report.NewStatus(t.Context(), in, name)
		if err != nil {
			t.Fatal(err)
		}
		if after := files(t, dir); !slices.Equal(after, before) {
			t.Errorf("there is %q, was %q", after, before)
		}
		return status
	}

	if s := look(filepath.Join(dir, "nothing")); s.Target.Exists || s.Installed != nil || s.Problem != nil || len(s.Replicas) != 0 {
		t.Errorf("where nothing is: %+v", s)
	}
	text := filepath.Join(dir, "text")
	testbin.WriteFile(t, text, []byte("text"))
	if s := look(text); !errors.Is(s.Problem, multiversion.RuleKind) || s.Installed == nil || s.Installed.Kind == "" {
		t.Errorf("of a text: %v, %+v", s.Problem, s.Installed)
	}

	next := standin.Binary(t, "0.17.7", "0.17.6")
	site := host.Site{Installer: in, Target: binary, Said: host.Said{DataFiles: []string{dataFile}}}
	fetch := func(_ context.Context, w io.Writer) (install.Origin, error) {
		_, err := w.Write(next)
		return install.Origin{Source: "test"}, err
	}
	if _, err := site.Install(t.Context(), install.Request{}, fetch, false); err != nil {
		t.Fatal(err)
	}
	standin.Start(t, binary, dataFile, standin.Options{}).Must("listening")
	s := look(binary)
	switch {
	case s.Problem != nil, len(s.Warnings) > 0, s.Installed == nil, s.Previous == nil, s.Last == nil, !s.LockObserved, s.HeldBy != nil, len(s.Interrupted) > 0:
		t.Errorf("%v %q %+v", s.Problem, s.Warnings, s)
	case s.Installed.Release != testbin.Release("0.17.7"), s.Previous.Release != testbin.Release("0.17.6"), s.Recorded.Installed.SHA256 != s.Installed.SHA256:
		t.Errorf("%+v, before it %+v", s.Installed, s.Previous)
	case len(s.DataFiles) != 1 || s.DataFiles[0].Release != testbin.Release("0.17.6"):
		t.Errorf("the data files are %+v", s.DataFiles)
	case len(s.Replicas) != 1 || s.Replicas[0].OutlookKind != host.OutlookArmed:
		t.Errorf("the replicas are %+v", s.Replicas)
	}

	history, err := report.NewHistory(t.Context(), in, report.HistoryQuery{Target: binary})
	if err != nil || len(history.Records) != 1 || history.Records[0].Result != install.ResultInstalled || !history.Complete || len(history.Interrupted)+len(history.Warnings) > 0 {
		t.Errorf("%+v, %v", history, err)
	}
	// Another user, who may not read that journal, sees the last change by what is kept beside the target, and is told which journal it was.
	other := *in
	other.Journal = &install.Journal{FS: in.FS, Dir: filepath.Join(dir, "nothing")}
	hidden := &install.Journal{FS: unreadable{in.FS}, Dir: in.Journal.Dir}
	for _, query := range []report.HistoryQuery{{Target: binary}, {Known: []string{binary}}} {
		query.Besides = []*install.Journal{hidden}
		seen, err := report.NewHistory(t.Context(), &other, query)
		if err != nil || len(seen.Records) != 1 || seen.Records[0].ID != history.Records[0].ID || len(seen.Unseen) != 1 || seen.Unseen[0] != in.Journal.Path() {
			t.Errorf("%+v: %+v, %v", query, seen, err)
		}
	}
	own := *in
	own.Journal = hidden
	if seen, err := report.NewHistory(t.Context(), &own, report.HistoryQuery{Target: binary}); !errors.Is(err, fs.ErrPermission) || len(seen.Records) != 1 || len(seen.Unseen) != 1 {
		t.Errorf("%+v, %v", seen, err)
	}
	// What may be read is shown, once.
	if seen, err := report.NewHistory(t.Context(), &other, report.HistoryQuery{Besides: []*install.Journal{in.Journal}}); err != nil || len(seen.Records) != 1 || len(seen.Unseen) != 0 {
		t.Errorf("%+v, %v", seen, err)
	}
	if err := os.WriteFile(history.Journal, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if history, err = report.NewHistory(t.Context(), in, report.HistoryQuery{}); err != nil || history.Damaged != 1 || len(history.Warnings) != 1 || len(history.Records) != 0 {
		t.Errorf("of a damaged journal: %+v, %v", history, err)
	}
}

// unreadable is a file system of which this user may open no directory.
type unreadable struct{ vfs.FS }

func (unreadable) OpenDir(string) (vfs.Dir, error) { return nil, fs.ErrPermission }

// TestStatusWhileWritten: a file that is being written in place while it is read is looked at again, and not called damaged.
func TestStatusWhileWritten(t *testing.T) {
	t.Parallel()
	whole := standin.Binary(t, "0.17.6", "0.17.5")
	target := filepath.Join(t.TempDir(), "tigerbeetle")
	testbin.WriteFile(t, target, whole[:len(whole)/2])
	fsys := &written{FS: vfs.OS(), name: "tigerbeetle"}
	fsys.read = func() {
		if err := os.WriteFile(target, whole, 0o755); err != nil {
			t.Error(err)
		}
	}
	in := &install.Installer{FS: fsys, Journal: &install.Journal{FS: vfs.OS(), Dir: t.TempDir()}}
	status, err := report.NewStatus(t.Context(), in, target)
	if err != nil || status.Problem != nil || status.Installed == nil || status.Installed.Damaged != "" || status.Installed.Size != int64(len(whole)) {
		t.Errorf("%+v, %v, %v", status.Installed, status.Problem, err)
	}
}

// written tells once that a file was read from.
type written struct {
	vfs.FS
	name string
	read func()
}

func (w *written) OpenDir(name string) (vfs.Dir, error) {
	dir, err := w.FS.OpenDir(name)
	return &writtenDir{dir, w}, err
}

type writtenDir struct {
	vfs.Dir
	of *written
}

func (d *writtenDir) Open(name string) (vfs.File, error) {
	file, err := d.Dir.Open(name)
	if err != nil || name != d.of.name {
		return file, err
	}
	return &writtenFile{file, d.of}, nil
}

type writtenFile struct {
	vfs.File
	of *written
}

func (f *writtenFile) ReadAt(b []byte, offset int64) (int, error) {
	count, err := f.File.ReadAt(b, offset)
	if f.of.read != nil {
		f.of.read()
		f.of.read = nil
	}
	return count, err
}

// TestInspect: a file is a binary, a data file, or an error that says what it is.
func TestInspect(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	text := filepath.Join(t.TempDir(), "text")
	testbin.WriteFile(t, text, []byte("text"))
	for _, test := range []struct {
		name   string
		binary bool
		data   bool
	}{{binary, true, false}, {dataFile, false, true}, {text, false, false}} {
		file, err := os.Open(test.name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		result, err := report.Inspect(t.Context(), test.name, io.NewSectionReader(file, 0, info.Size()), nil)
		if (result.Binary != nil) != test.binary || (result.DataFile != nil) != test.data || (err == nil) != (test.binary || test.data) || result.Kind.Text == "" {
			t.Errorf("%s: %+v, %v", test.name, result, err)
		}
	}
}
