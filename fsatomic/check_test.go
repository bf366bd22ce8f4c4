package fsatomic_test

import (
	"errors"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestCheck: each problem is found before anything is done.
func TestCheck(t *testing.T) {
	t.Parallel()
	user := vfs.Self{UID: 12, GID: 34, Groups: []int{56}}
	asRoot := fsatomic.Attributes{UID: 0, GID: 34, Mode: 0o755}
	asUser := fsatomic.Attributes{UID: 12, GID: 34, Mode: 0o755}
	with := func(attrs fsatomic.Attributes, name string) fsatomic.Attributes {
		attrs.Xattrs = map[string][]byte{name: []byte("value")}
		return attrs
	}
	immutable := func(info *vfs.Info) { info.Immutable = true }
	none := func(*testing.T, *memfs.FS) {}
	tests := []struct {
		name    string
		options memfs.Options
		alter   func(t *testing.T, m *memfs.FS)
		size    int64
		attrs   fsatomic.Attributes
		want    []error
	}{
		{"nothing", memfs.Options{}, none, 1, testAttributes(), nil},
		{"as owner", memfs.Options{}, ownDir(user), 1, asUser, nil},
		{"own group", memfs.Options{}, ownDir(user), 1, fsatomic.Attributes{UID: -1, GID: 56, Mode: 0o755}, nil},
		{"other group", memfs.Options{}, ownDir(user), 1, fsatomic.Attributes{UID: 12, GID: 78}, []error{fsatomic.ErrOwner}},
		{"other owner", memfs.Options{}, ownDir(user), 1, asRoot, []error{fsatomic.ErrOwner}},
		{"capability", memfs.Options{}, ownDir(user), 1, with(asUser, fsatomic.XattrCapability), []error{fsatomic.ErrAttribute}},
		{"label", memfs.Options{}, ownDir(user), 1, with(asUser, fsatomic.XattrSELinux), []error{fsatomic.ErrAttribute}},
		{"user attribute", memfs.Options{}, ownDir(user), 1, with(asUser, "user.x"), nil},
		{"not carried", memfs.Options{}, none, 1, with(asUser, "security.ima"), []error{fsatomic.ErrAttribute}},
		{"no attributes", memfs.Options{NoXattrs: true}, none, 1, with(asUser, "user.x"), []error{fsatomic.ErrAttribute}},
		{"mode", memfs.Options{}, none, 1, fsatomic.Attributes{Mode: 0o10755}, []error{fsatomic.ErrAttribute}},
		{"directory of others", memfs.Options{}, as(user), 1, asUser, []error{fsatomic.ErrDirNotWritable}},
		{"no exec", memfs.Options{NoExec: true}, none, 1, asUser, []error{fsatomic.ErrNoExec}},
		{"no exec, not executable", memfs.Options{NoExec: true}, none, 1, fsatomic.Attributes{Mode: 0o644}, nil},
		{"space", memfs.Options{FreeBytes: 1000}, none, 1001, asUser, []error{vfs.ErrNoSpace}},
		{"immutable", memfs.Options{}, altered(testName, immutable), 1, asUser, []error{fsatomic.ErrImmutable}},
		{"append-only", memfs.Options{}, altered(testName, func(i *vfs.Info) { i.AppendOnly = true }), 1, asUser, []error{fsatomic.ErrImmutable}},
		{"immutable directory", memfs.Options{}, altered(testDir, immutable), 1, asUser, []error{fsatomic.ErrImmutable}},
		{"mounted", memfs.Options{}, altered(testName, func(i *vfs.Info) { i.MountPoint = true }), 1, asUser, []error{fsatomic.ErrMountPoint}},
		{"sticky", memfs.Options{}, func(t *testing.T, m *memfs.FS) {
			check(t, m.Alter(testDir, func(info *vfs.Info) { info.Mode = 0o1777 }))
			m.SetUser(vfs.Self{UID: 99})
		}, 1,
			fsatomic.Attributes{UID: -1, GID: -1}, []error{fsatomic.ErrSticky}},
		{"old directory", memfs.Options{}, func(t *testing.T, m *memfs.FS) {
			check(t, m.Make(testName+"-old", vfs.KindDirectory, 0o755))
		}, 1, asUser, []error{fsatomic.ErrOldKind}},
		{"old link", memfs.Options{}, func(t *testing.T, m *memfs.FS) {
			check(t, m.Symlink("tigerbeetle", testName+"-old"))
		}, 1, asUser, []error{fsatomic.ErrOldKind}},
		{"several", memfs.Options{NoExec: true, FreeBytes: 1000}, altered(testName, immutable), 2000, with(asUser, "trusted.x"),
			[]error{fsatomic.ErrNoExec, fsatomic.ErrImmutable, vfs.ErrNoSpace, fsatomic.ErrAttribute}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := scenario{exists: true}.setUp(t, test.options)
			check(t, m.Alter(testDir, func(info *vfs.Info) { info.UID, info.GID = 0, 0 }))
			check(t, m.Alter(testName, func(info *vfs.Info) { info.Mode = 0o755 }))
			test.alter(t, m)
			m.CrashAt(0)
			target, err := fsatomic.Lookup(m, testName)
			check(t, err)
			got := target.Check(test.size, test.attrs)
			if len(got) != len(test.want) {
				t.Fatalf("problems %v, want %v", got, test.want)
			}
			for i, want := range test.want {
				if !errors.Is(got[i], want) {
					t.Errorf("problem %v, want %v", got[i], want)
				}
			}
			if m.Count() != 0 {
				t.Errorf("changes: %v", m.Trace())
			}
		})
	}
}

func as(user vfs.Self) func(*testing.T, *memfs.FS) {
	return func(_ *testing.T, m *memfs.FS) { m.SetUser(user) }
}

// ownDir gives the directory to the user.
func ownDir(user vfs.Self) func(*testing.T, *memfs.FS) {
	return func(t *testing.T, m *memfs.FS) {
		check(t, m.Alter(testDir, func(info *vfs.Info) { info.UID, info.GID = user.UID, user.GID }))
		m.SetUser(user)
	}
}

func altered(name string, alter func(*vfs.Info)) func(*testing.T, *memfs.FS) {
	return func(t *testing.T, m *memfs.FS) { check(t, m.Alter(name, alter)) }
}

func TestCheckReadOnly(t *testing.T) {
	t.Parallel()
	target := fsatomic.Target{Path: testName, Dir: vfs.Info{Inode: 1}}
	target.Volume.ReadOnly = true
	got := target.Check(10, fsatomic.Attributes{})
	want := []error{vfs.ErrReadOnly, vfs.ErrNoSpace, fsatomic.ErrNoInodes, nil}
	for i, problem := range got {
		if !errors.Is(problem, want[i]) {
			t.Errorf("problem %v, want %v", problem, want[i])
		}
	}
	var space *vfs.SpaceError
	if !errors.As(got[1], &space) || space.Need != 10 || space.Have != 0 {
		t.Errorf("space %+v", space)
	}
	target.Dir.Inode = 0
	if got := target.Check(10, fsatomic.Attributes{}); !errors.Is(got[0], fsatomic.ErrSystem) {
		t.Errorf("problems %v without inode numbers", got)
	}
}
