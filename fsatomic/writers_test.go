package fsatomic_test

import (
	"errors"
	"io/fs"
	"slices"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
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
			return errors.Join(remove(m, file), m.Symlink("elsewhere", file))
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
			writers, err := fsatomic.WritersOf(m, file)
			if err != nil || !slices.Equal(writers.Users, test.users) || writers.Any != test.any || writers.String() != test.text {
				t.Errorf("%+v, %s, %v", writers, writers, err)
			}
			if none := len(test.users) == 0 && !test.any; writers.None() != none {
				t.Errorf("none is %v", writers.None())
			}
		})
	}
	m := memfs.New(memfs.Options{})
	if _, err := fsatomic.WritersOf(m, "/not/there"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if writers, err := fsatomic.WritersOf(m, "/file"); err != nil || !writers.None() {
		t.Errorf("of a name where nothing is: %v, %v", writers, err)
	}
}
