package fsatomic_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestChanged: what somebody does between plan and swap is noticed.
func TestChanged(t *testing.T) {
	t.Parallel()
	openFile := func(t *testing.T, m *memfs.FS, base string) vfs.File {
		file, err := openDir(t, m).OpenAppend(base)
		check(t, err)
		return file
	}
	tests := []struct {
		name   string
		exists bool
		meddle func(t *testing.T, m *memfs.FS)
		want   error
	}{
		{"mode", true, func(t *testing.T, m *memfs.FS) { check(t, openFile(t, m, "tigerbeetle").Chmod(0o700)) }, fsatomic.ErrChanged},
		{"contents", true, func(t *testing.T, m *memfs.FS) {
			_, err := openFile(t, m, "tigerbeetle").Write([]byte("x"))
			check(t, err)
		}, fsatomic.ErrChanged},
		{"link", true, func(t *testing.T, m *memfs.FS) { check(t, openDir(t, m).Link("tigerbeetle", "x")) }, fsatomic.ErrChanged},
		{"replaced", true, func(t *testing.T, m *memfs.FS) {
			check(t, durable.WriteFile(m, testName, 0o755, true, writeString("theirs")))
		}, fsatomic.ErrChanged},
		{"removed", true, func(t *testing.T, m *memfs.FS) { check(t, openDir(t, m).Remove("tigerbeetle")) }, fsatomic.ErrChanged},
		{"appeared", false, func(t *testing.T, m *memfs.FS) {
			check(t, durable.WriteFile(m, testName, 0o755, true, writeString("theirs")))
		}, fsatomic.ErrChanged},
		{"directory replaced", true, func(t *testing.T, m *memfs.FS) {
			opt, err := m.OpenDir("/opt")
			check(t, err)
			check(t, opt.Rename("tigerbeetle", "elsewhere"))
			check(t, m.Make(testDir, vfs.KindDirectory, 0o755))
		}, fsatomic.ErrChanged},
		{"old became a directory", true, func(t *testing.T, m *memfs.FS) {
			check(t, m.Make(testName+"-old", vfs.KindDirectory, 0o755))
		}, fsatomic.ErrOldKind},
		{"became a link", true, func(t *testing.T, m *memfs.FS) {
			d := openDir(t, m)
			check(t, d.Rename("tigerbeetle", "real"))
			check(t, m.Symlink("real", testName))
		}, fsatomic.ErrChanged},
		{"staged file meddled with", true, func(t *testing.T, m *memfs.FS) {
			names, err := openDir(t, m).List(".tigerbeetle.tbctl-stage-", 1)
			check(t, err)
			_, err = openFile(t, m, names[0]).Write([]byte("x"))
			check(t, err)
		}, fsatomic.ErrChanged},
	}
	for name, options := range systems() {
		for _, test := range tests {
			if options.NoLinks && test.name == "link" {
				continue
			}
			t.Run(name+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				m := scenario{exists: test.exists}.setUp(t, options)
				lock, target := lockTarget(t, m, testName)
				staged, err := fsatomic.Stage(lock, target, 0)
				check(t, err)
				check(t, writeString(contentsNew)(staged))
				check(t, staged.SetAttributes(fsatomic.Attributes{UID: -1, GID: -1, Mode: 0o755}))
				test.meddle(t, m)
				before, _ := openDir(t, m).List("", 100)
				_, err = staged.Commit(t.Context(), fsatomic.CommitOptions{})
				if !errors.Is(err, test.want) {
					t.Fatalf("error %v, want %v", err, test.want)
				}
				var unknown *fsatomic.UnknownStateError
				if errors.As(err, &unknown) {
					t.Fatalf("error %v: it is known that nothing was done", err)
				}
				if test.name == "directory replaced" {
					return // the held handle is elsewhere by now
				}
				after, _ := openDir(t, m).List("", 100)
				before = slices.DeleteFunc(before, func(name string) bool { return strings.Contains(name, "stage") })
				if !slices.Equal(before, after) {
					t.Fatalf("names %q, want %q", after, before)
				}
			})
		}
	}
}

// TestMeddling: somebody without the lock puts a file at the target just before
// any operation of an installation. Where names can be exchanged, that file is
// never lost, and nobody says that all is well while it is gone.
func TestMeddling(t *testing.T) {
	t.Parallel()
	const theirs = "their file"
	for _, s := range scenarios()[:4] {
		for number := range testbin.Sampled(t, s.operations(t, memfs.Options{})) {
			m := s.setUp(t, memfs.Options{})
			m.MeddleAt(number+1, func() {
				check(t, durable.WriteFile(m, testDir+"/theirs", 0o755, false, writeString(theirs)))
				check(t, openDir(t, m).Rename("theirs", "tigerbeetle"))
			})
			err := s.act(t.Context(), m)
			got, _ := contentsOf(t, m, testName)
			if got != theirs {
				t.Fatalf("%s: before %s: target %q, error %v", s.name, m.Trace()[number], got, err)
			}
			if err != nil && !errors.Is(err, fsatomic.ErrChanged) {
				t.Fatalf("%s: before operation %d: error %v", s.name, number+1, err)
			}
			if _, _, err := begin(t.Context(), m); err != nil && !errors.Is(err, durable.ErrBusy) {
				t.Fatal(err)
			}
			if names, _ := openDir(t, m).List(".tigerbeetle.tbctl-stage", 10); len(names) > 0 {
				t.Fatalf("left over: %q", names)
			}
		}
	}
	// Without exchange, a file that comes before the second check survives.
	s := scenarios()[1]
	m := s.setUp(t, memfs.Options{NoExchange: true})
	m.CrashAt(0)
	check(t, s.act(t.Context(), m))
	link := slices.IndexFunc(m.Trace(), func(line string) bool { return strings.Contains(line, " link ") })
	m = s.setUp(t, memfs.Options{NoExchange: true})
	m.MeddleAt(link+2, func() {
		check(t, durable.WriteFile(m, testName, 0o755, true, writeString(theirs)))
	})
	if err := s.act(t.Context(), m); !errors.Is(err, fsatomic.ErrChanged) {
		t.Fatalf("error %v", err)
	}
	if got, _ := contentsOf(t, m, testName); got != theirs {
		t.Fatalf("target %q", got)
	}
}

// forgetful is a file system that takes one attribute and does not keep it.
type (
	forgetful struct {
		vfs.FS
		attribute string
	}
	forgetfulDir struct {
		vfs.Dir
		attribute string
	}
	forgetfulFile struct {
		vfs.File
		attribute string
	}
)

func (f forgetful) OpenDir(name string) (vfs.Dir, error) {
	dir, err := f.FS.OpenDir(name)
	return forgetfulDir{dir, f.attribute}, err
}

func (d forgetfulDir) Create(name string, mode vfs.Mode) (vfs.File, error) {
	file, err := d.Dir.Create(name, mode)
	return forgetfulFile{file, d.attribute}, err
}

func (f forgetfulFile) SetXattr(name string, value []byte) error {
	if name == f.attribute {
		return f.File.SetXattr(name, append(value, 'x'))
	}
	return f.File.SetXattr(name, value)
}

func (f forgetfulFile) Chown(uid, gid int) error {
	if f.attribute == fsatomic.AttributeOwner {
		gid = -1
	}
	return f.File.Chown(uid, gid)
}

func (f forgetfulFile) Chmod(mode vfs.Mode) error {
	if f.attribute == fsatomic.AttributeMode {
		mode &= 0o777
	}
	return f.File.Chmod(mode)
}

// TestReadBackAttributes: what a system silently does not keep is named.
func TestReadBackAttributes(t *testing.T) {
	t.Parallel()
	for _, attribute := range []string{
		fsatomic.AttributeOwner, fsatomic.AttributeMode, fsatomic.XattrCapability, fsatomic.XattrSELinux, "user.note",
	} {
		m := scenario{exists: true}.setUp(t, memfs.Options{})
		err := installOnce(t.Context(), forgetful{m, attribute}, contentsNew, fsatomic.CommitOptions{})
		var failed *fsatomic.AttributeError
		if !errors.As(err, &failed) || failed.Attribute != attribute {
			t.Errorf("%s: error %v", attribute, err)
		}
		if w := look(t, m, memfs.Options{}); w.target != contentsOld || len(w.residue()) > 0 {
			t.Errorf("%s: %+v", attribute, w)
		}
	}
}

// TestCancel: a context that ends at any moment leaves either nothing done, or
// all of it.
func TestCancel(t *testing.T) {
	t.Parallel()
	for name, options := range systems() {
		for _, s := range scenarios() {
			if options.CountReads || (s.linked && options.NoLinks) {
				continue
			}
			late := false
			for number := range s.operations(t, options) {
				m := s.setUp(t, options)
				before := look(t, m, options)
				ctx, cancel := context.WithCancel(t.Context())
				m.MeddleAt(number+1, cancel)
				err := s.act(ctx, m)
				cancel()
				now := look(t, m, options)
				late = late || now.target == s.result
				switch {
				case err == nil && now.target == s.result && now.old == s.kept:
				case errors.Is(err, context.Canceled) && now.target == before.target && now.old == before.old && !late:
				default:
					t.Fatalf("%s/%s: canceled before operation %d: %v, %+v", name, s.name, number+1, err, now)
				}
				if left := now.residue(); len(left) > 0 {
					t.Fatalf("%s/%s: left over: %q", name, s.name, left)
				}
			}
			if !late {
				t.Fatalf("%s/%s: canceling was never too late", name, s.name)
			}
		}
	}
}
