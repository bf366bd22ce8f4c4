package vfs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestWriters: who may change what stands at a path is whoever may change the file, its name, or a
// directory on the way to it.
func TestWriters(t *testing.T) {
	t.Parallel()
	owner := func(name string, uid int) func(*memfs.FS) error {
		return func(m *memfs.FS) error { return m.Alter(name, func(i *vfs.Info) { i.UID = uid }) }
	}
	mode := func(name string, mode vfs.Mode) func(*memfs.FS) error {
		return func(m *memfs.FS) error { return m.Alter(name, func(i *vfs.Info) { i.Mode = mode }) }
	}
	const file = "/opt/tb/file"
	for name, test := range map[string]struct {
		user    int
		changes []func(*memfs.FS) error
		users   []int
		any     bool
		text    string
	}{
		"root's":                    {0, nil, nil, false, "nobody else may write it"},
		"one's own":                 {7, []func(*memfs.FS) error{owner("/opt/tb", 7), owner(file, 7)}, nil, false, "nobody else may write it"},
		"own, of root's view":       {0, []func(*memfs.FS) error{owner("/opt/tb", 7), owner(file, 7)}, []int{7}, false, "user 7 may write /opt/tb/file"},
		"the directory's":           {0, []func(*memfs.FS) error{owner("/opt/tb", 7)}, []int{7}, false, "user 7 may write /opt/tb"},
		"above it":                  {0, []func(*memfs.FS) error{owner("/opt", 7), owner("/opt/tb", 8)}, []int{8, 7}, false, "user 8 may write /opt/tb"},
		"a group's file":            {0, []func(*memfs.FS) error{mode(file, 0o664)}, nil, true, "others may write /opt/tb/file"},
		"a group's directory":       {0, []func(*memfs.FS) error{mode("/opt/tb", 0o775)}, nil, true, "others may write /opt/tb"},
		"everybody's above":         {0, []func(*memfs.FS) error{mode("/opt", 0o777)}, nil, true, "others may write /opt"},
		"sticky above":              {0, []func(*memfs.FS) error{mode("/opt", 0o1777)}, nil, false, "nobody else may write it"},
		"sticky":                    {0, []func(*memfs.FS) error{mode("/opt/tb", 0o1777)}, nil, false, "nobody else may write it"},
		"another's in a sticky one": {0, []func(*memfs.FS) error{mode("/opt/tb", 0o1777), owner(file, 7)}, []int{7}, true, "others may write /opt/tb"},
		"a link, with every right": {0, []func(*memfs.FS) error{func(m *memfs.FS) error {
			dir, err := m.OpenDir("/opt/tb")
			if err != nil {
				return err
			}
			return errors.Join(dir.Remove("file"), dir.Close(), m.Symlink("elsewhere", file))
		}}, nil, false, "nobody else may write it"},
		"a user's, and then everybody": {0, []func(*memfs.FS) error{owner(file, 7), mode("/opt", 0o777)}, []int{7}, true, "others may write /opt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := memfs.New(memfs.Options{})
			check(t, m.Make("/opt", vfs.KindDirectory, 0o755))
			check(t, m.Make("/opt/tb", vfs.KindDirectory, 0o755))
			check(t, m.Make(file, vfs.KindFile, 0o755))
			for _, change := range test.changes {
				check(t, change(m))
			}
			m.SetUser(vfs.Self{UID: test.user, GID: test.user, Chown: test.user == 0, AnyFile: test.user == 0})
			writers, err := writersOf(m, file)
			if err != nil || !slices.Equal(writers.Users, test.users) || writers.Any != test.any || writers.String() != test.text {
				t.Errorf("%+v, %s, %v", writers, writers, err)
			}
			if none := len(test.users) == 0 && !test.any; writers.None() != none {
				t.Errorf("none is %v", writers.None())
			}
		})
	}
	m := memfs.New(memfs.Options{})
	if _, err := writersOf(m, "/not/there"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if writers, err := writersOf(m, "/file"); err != nil || !writers.None() {
		t.Errorf("of a name where nothing is: %v, %v", writers, err)
	}
}

// TestWritersOfHandle: the writers are those of what was opened, also when its path leads to something of root's by then.
func TestWritersOfHandle(t *testing.T) {
	t.Parallel()
	m := memfs.New(memfs.Options{})
	for _, dir := range []string{"/home", "/home/tb", "/home/tb/bin", "/home/tb/ours"} {
		check(t, m.Make(dir, vfs.KindDirectory, 0o755))
	}
	check(t, m.Make("/home/tb/bin/state", vfs.KindFile, 0o644))
	check(t, m.Make("/home/tb/ours/state", vfs.KindFile, 0o644))
	check(t, m.Alter("/home/tb/bin", func(i *vfs.Info) { i.UID = 7 }))
	dir, err := m.OpenDir("/home/tb/bin")
	check(t, err)
	defer dir.Close()
	above, err := m.OpenDir("/home/tb")
	check(t, err)
	defer above.Close()
	check(t, above.Exchange("bin", "ours"))

	if writers, err := writersOf(m, "/home/tb/bin/state"); err != nil || !writers.None() {
		t.Errorf("of the path: %s, %v", writers, err)
	}
	writers, err := vfs.WritersIn(dir, "/home/tb/bin/state", nil, m.Self())
	if err != nil || !slices.Equal(writers.Users, []int{7}) {
		t.Errorf("of the handle: %s, %v", writers, err)
	}
}

// TestWritersOfOpened: of a file that was opened its own owner counts, and not that of another one which has the name by then.
func TestWritersOfOpened(t *testing.T) {
	t.Parallel()
	m := memfs.New(memfs.Options{})
	check(t, m.Make("/tmp", vfs.KindDirectory, 0o1777))
	check(t, m.Make("/tmp/state", vfs.KindFile, 0o644))
	dir, err := m.OpenDir("/tmp")
	check(t, err)
	defer dir.Close()
	writers, err := vfs.WritersIn(dir, "/tmp/state", &vfs.Info{UID: 7, Mode: 0o644}, m.Self())
	if err != nil || writers.None() || !slices.Contains(writers.Users, 7) {
		t.Errorf("%s, %v", writers, err)
	}
}

// TestWritersOfSystem climbs a real directory.
func TestWritersOfSystem(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	above := t.TempDir()
	dir := filepath.Join(above, "dir")
	name := filepath.Join(dir, "file")
	check(t, errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(name, nil, 0o644)))
	if writers, err := writersOf(vfs.OS(), name); err != nil || !writers.None() {
		t.Errorf("root's: %s, %v", writers, err)
	}
	check(t, os.Chown(above, 12345, 12345))
	if writers, err := writersOf(vfs.OS(), name); err != nil || !slices.Equal(writers.Users, []int{12345}) {
		t.Errorf("below another's: %s, %v", writers, err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// writersOf are the writers of the file at a path, or of the name where there is no file.
func writersOf(fsys vfs.FS, name string) (vfs.Writers, error) {
	dir, err := fsys.OpenDir(filepath.Dir(name))
	if err != nil {
		return vfs.Writers{}, err
	}
	defer dir.Close()
	return vfs.WritersIn(dir, name, nil, fsys.Self())
}
