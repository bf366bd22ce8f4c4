package fsatomic_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/fsatomic/memfs"
)

// TestLookupPaths: where a path leads, or why it leads nowhere.
func TestLookupPaths(t *testing.T) {
	t.Parallel()
	m := scenario{exists: true}.setUp(t, memfs.Options{})
	for _, dir := range []string{"/data", "/data/1", "/data/1/bin", "/usr", "/usr/bin"} {
		check(t, m.Make(dir, fsatomic.KindDirectory, 0o755))
	}
	check(t, m.Make("/data/1/bin/app", fsatomic.KindFile, 0o755))
	for _, link := range [][2]string{
		{"/usr/bin/direct", testName}, {"/usr/bin/relative", "../../opt/tigerbeetle/tigerbeetle"},
		{"/usr/bin/two", "direct"}, {"/usr/bin/dangling", "nothing"}, {"/usr/bin/deep", "no/such/dir"},
		{"/usr/bin/loop", "loop"}, {"/usr/bin/dir", "/opt"}, {"/usr/bin/slash", "/opt/"},
		{"/current", "data/1"}, {"/data/1/up", "../../data/1/bin/app"},
	} {
		check(t, m.Symlink(link[1], link[0]))
	}
	// ".." behind a link to a directory is that directory's parent, not the link's.
	check(t, m.Symlink("/data/1/bin", "/usr/hop"))
	check(t, m.Symlink("../up", "/data/1/bin/hopped"))
	check(t, m.Symlink("../hop/../bin/app", "/usr/bin/hopping"))
	check(t, m.Make("/usr/bin/pipe", fsatomic.KindPipe, 0o644))
	check(t, m.Make("/usr/bin/null", fsatomic.KindDevice, 0o666))

	tests := []struct {
		name  string
		path  string
		links string
		want  error
	}{
		{testName, testName, "", nil},
		{"/opt/../opt//tigerbeetle/./tigerbeetle", testName, "", nil},
		{"/opt/tigerbeetle/absent", "/opt/tigerbeetle/absent", "", nil},
		{"/usr/bin/direct", testName, "/usr/bin/direct", nil},
		{"/usr/bin/relative", testName, "/usr/bin/relative", nil},
		{"/usr/bin/two", testName, "/usr/bin/two /usr/bin/direct", nil},
		{"/current/bin/app", "/data/1/bin/app", "", nil},
		{"/usr/hop/hopped", "/data/1/bin/app", "/data/1/bin/hopped /data/1/up", nil},
		{"/usr/bin/hopping", "/data/1/bin/app", "/usr/bin/hopping", nil},
		{"/usr/hop/../bin/app", "/data/1/bin/app", "", nil},
		{"/usr/bin/dangling", "", "", fsatomic.ErrDangling},
		{"/usr/bin/deep", "", "", fsatomic.ErrDangling},
		{"/usr/bin/loop", "", "", fsatomic.ErrLinkLoop},
		{"/usr/bin/dir", "", "", fsatomic.ErrDirectory},
		{"/usr/bin/slash", "", "", fsatomic.ErrDirectory},
		{"/usr/bin/pipe", "", "", fsatomic.ErrNotRegular},
		{"/usr/bin/null", "", "", fsatomic.ErrNotRegular},
		{"/no/such/file", "", "", fsatomic.ErrNoDirectory},
		{"/opt", "", "", fsatomic.ErrDirectory},
		{"/opt/", "", "", fsatomic.ErrDirectory},
		{"/opt/..", "", "", fsatomic.ErrDirectory},
		{"", "", "", fsatomic.ErrName},
		{"/opt/a\x00b", "", "", fsatomic.ErrName},
		{"/opt/" + strings.Repeat("x", 201), "", "", fsatomic.ErrName},
	}
	for _, test := range tests {
		target, err := fsatomic.Lookup(m, test.name)
		if !errors.Is(err, test.want) || target.Path != test.path || strings.Join(target.Links, " ") != test.links {
			t.Errorf("%q: path %q through %q, error %v; want %q through %q, %v",
				test.name, target.Path, target.Links, err, test.path, test.links, test.want)
		}
	}
}

// TestTargetJSON: a plan can be kept.
func TestTargetJSON(t *testing.T) {
	t.Parallel()
	m := scenario{exists: true, older: true}.setUp(t, memfs.Options{})
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	text, err := json.Marshal(target)
	check(t, err)
	var back fsatomic.Target
	check(t, json.Unmarshal(text, &back))
	if !reflect.DeepEqual(target, back) {
		t.Fatalf("\n%+v\n%+v", target, back)
	}
	if !strings.Contains(string(text), `"mode":"4750"`) {
		t.Fatalf("no octal mode in %s", text)
	}
	var mode fsatomic.Mode
	for _, text := range []string{"", "8", "10000", "-1", "0x1"} {
		if mode.UnmarshalText([]byte(text)) == nil {
			t.Errorf("mode %q was taken", text)
		}
	}
}

// TestCheck: each problem is found before anything is done.
func TestCheck(t *testing.T) {
	t.Parallel()
	user := fsatomic.Self{UID: 12, GID: 34, Groups: []int{56}}
	asRoot := fsatomic.Attributes{UID: 0, GID: 34, Mode: 0o755}
	asUser := fsatomic.Attributes{UID: 12, GID: 34, Mode: 0o755}
	with := func(attrs fsatomic.Attributes, name string) fsatomic.Attributes {
		attrs.Xattrs = map[string][]byte{name: []byte("value")}
		return attrs
	}
	immutable := func(info *fsatomic.Info) { info.Immutable = true }
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
		{"space", memfs.Options{FreeBytes: 1000}, none, 1001, asUser, []error{fsatomic.ErrNoSpace}},
		{"immutable", memfs.Options{}, altered(testName, immutable), 1, asUser, []error{fsatomic.ErrImmutable}},
		{"append-only", memfs.Options{}, altered(testName, func(i *fsatomic.Info) { i.AppendOnly = true }), 1, asUser, []error{fsatomic.ErrImmutable}},
		{"immutable directory", memfs.Options{}, altered(testDir, immutable), 1, asUser, []error{fsatomic.ErrImmutable}},
		{"mounted", memfs.Options{}, altered(testName, func(i *fsatomic.Info) { i.MountPoint = true }), 1, asUser, []error{fsatomic.ErrMountPoint}},
		{"sticky", memfs.Options{}, func(t *testing.T, m *memfs.FS) {
			check(t, m.Alter(testDir, func(info *fsatomic.Info) { info.Mode = 0o1777 }))
			m.SetUser(fsatomic.Self{UID: 99})
		}, 1,
			fsatomic.Attributes{UID: -1, GID: -1}, []error{fsatomic.ErrSticky}},
		{"old directory", memfs.Options{}, func(t *testing.T, m *memfs.FS) {
			check(t, m.Make(testName+"-old", fsatomic.KindDirectory, 0o755))
		}, 1, asUser, []error{fsatomic.ErrOldKind}},
		{"old link", memfs.Options{}, func(t *testing.T, m *memfs.FS) {
			check(t, m.Symlink("tigerbeetle", testName+"-old"))
		}, 1, asUser, []error{fsatomic.ErrOldKind}},
		{"several", memfs.Options{NoExec: true, FreeBytes: 1000}, altered(testName, immutable), 2000, with(asUser, "trusted.x"),
			[]error{fsatomic.ErrNoExec, fsatomic.ErrImmutable, fsatomic.ErrNoSpace, fsatomic.ErrAttribute}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := scenario{exists: true}.setUp(t, test.options)
			check(t, m.Alter(testDir, func(info *fsatomic.Info) { info.UID, info.GID = 0, 0 }))
			check(t, m.Alter(testName, func(info *fsatomic.Info) { info.Mode = 0o755 }))
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

func as(user fsatomic.Self) func(*testing.T, *memfs.FS) {
	return func(_ *testing.T, m *memfs.FS) { m.SetUser(user) }
}

// ownDir gives the directory to the user.
func ownDir(user fsatomic.Self) func(*testing.T, *memfs.FS) {
	return func(t *testing.T, m *memfs.FS) {
		check(t, m.Alter(testDir, func(info *fsatomic.Info) { info.UID, info.GID = user.UID, user.GID }))
		m.SetUser(user)
	}
}

func altered(name string, alter func(*fsatomic.Info)) func(*testing.T, *memfs.FS) {
	return func(t *testing.T, m *memfs.FS) { check(t, m.Alter(name, alter)) }
}

func TestCheckReadOnly(t *testing.T) {
	t.Parallel()
	target := fsatomic.Target{Path: testName, Dir: fsatomic.Info{Inode: 1}}
	target.Volume.ReadOnly = true
	got := target.Check(10, fsatomic.Attributes{})
	want := []error{fsatomic.ErrReadOnly, fsatomic.ErrNoSpace, fsatomic.ErrNoInodes, nil}
	for i, problem := range got {
		if !errors.Is(problem, want[i]) {
			t.Errorf("problem %v, want %v", problem, want[i])
		}
	}
	var space *fsatomic.SpaceError
	if !errors.As(got[1], &space) || space.Need != 10 || space.Have != 0 {
		t.Errorf("space %+v", space)
	}
	target.Dir.Inode = 0
	if got := target.Check(10, fsatomic.Attributes{}); !errors.Is(got[0], fsatomic.ErrNotSupported) {
		t.Errorf("problems %v without inode numbers", got)
	}
}

// TestChanged: what somebody does between plan and swap is noticed.
func TestChanged(t *testing.T) {
	t.Parallel()
	openFile := func(t *testing.T, m *memfs.FS, base string) fsatomic.File {
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
			check(t, fsatomic.WriteFile(m, testName, 0o755, true, writeString("theirs")))
		}, fsatomic.ErrChanged},
		{"removed", true, func(t *testing.T, m *memfs.FS) { check(t, openDir(t, m).Remove("tigerbeetle")) }, fsatomic.ErrChanged},
		{"appeared", false, func(t *testing.T, m *memfs.FS) {
			check(t, fsatomic.WriteFile(m, testName, 0o755, true, writeString("theirs")))
		}, fsatomic.ErrChanged},
		{"directory replaced", true, func(t *testing.T, m *memfs.FS) {
			opt, err := m.OpenDir("/opt")
			check(t, err)
			check(t, opt.Rename("tigerbeetle", "elsewhere"))
			check(t, m.Make(testDir, fsatomic.KindDirectory, 0o755))
		}, fsatomic.ErrChanged},
		{"old became a directory", true, func(t *testing.T, m *memfs.FS) {
			check(t, m.Make(testName+"-old", fsatomic.KindDirectory, 0o755))
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
		for number := range s.operations(t, memfs.Options{}) {
			m := s.setUp(t, memfs.Options{})
			m.MeddleAt(number+1, func() {
				check(t, fsatomic.WriteFile(m, testDir+"/theirs", 0o755, false, writeString(theirs)))
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
			if _, _, err := begin(t.Context(), m); err != nil && !errors.Is(err, fsatomic.ErrBusy) {
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
		check(t, fsatomic.WriteFile(m, testName, 0o755, true, writeString(theirs)))
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
		fsatomic.FS
		attribute string
	}
	forgetfulDir struct {
		fsatomic.Dir
		attribute string
	}
	forgetfulFile struct {
		fsatomic.File
		attribute string
	}
)

func (f forgetful) OpenDir(name string) (fsatomic.Dir, error) {
	dir, err := f.FS.OpenDir(name)
	return forgetfulDir{dir, f.attribute}, err
}

func (d forgetfulDir) Create(name string, mode fsatomic.Mode) (fsatomic.File, error) {
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

func (f forgetfulFile) Chmod(mode fsatomic.Mode) error {
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

// TestStagedOrder: what a staged file refuses.
func TestStagedOrder(t *testing.T) {
	t.Parallel()
	m := scenario{exists: true}.setUp(t, memfs.Options{})
	lock, target := lockTarget(t, m, testName)
	stage := func() *fsatomic.Staged {
		staged, err := fsatomic.Stage(lock, target, 10)
		check(t, err)
		check(t, writeString("contents")(staged))
		return staged
	}
	staged := stage()
	if _, err := staged.Commit(t.Context(), fsatomic.CommitOptions{}); !errors.Is(err, fsatomic.ErrNoAttributes) {
		t.Fatalf("error %v", err)
	}
	if _, err := staged.Write(nil); !errors.Is(err, fsatomic.ErrClosed) {
		t.Fatalf("error %v", err)
	}

	staged = stage()
	check(t, staged.SetAttributes(target.Attributes))
	check(t, writeString("more")(staged)) // takes the capabilities away
	if _, err := staged.Commit(t.Context(), fsatomic.CommitOptions{}); !errors.Is(err, fsatomic.ErrNoAttributes) {
		t.Fatalf("error %v", err)
	}

	staged = stage()
	check(t, staged.SetAttributes(target.Attributes))
	m.FailAt(1, errInjected)
	var failed *fsatomic.SyncError
	if err := staged.Sync(); !errors.As(err, &failed) || failed.Swapped {
		t.Fatalf("error %v", err)
	}
	if _, err := staged.Commit(t.Context(), fsatomic.CommitOptions{}); !errors.As(err, &failed) || failed.Swapped {
		t.Fatalf("error %v: a failed fsync was forgotten", err)
	}

	if got := look(t, m, memfs.Options{}); got.target != contentsOld || len(got.residue()) > 0 {
		t.Fatalf("%+v", got)
	}

	staged = stage()
	check(t, fsatomic.WriteFile(m, staged.Path(), 0o644, true, writeString("not ours")))
	check(t, staged.Abort())
	if got, _ := contentsOf(t, m, staged.Path()); got != "not ours" {
		t.Fatalf("aborting removed another file: %q is left", got)
	}
	check(t, fsatomic.Remove(m, staged.Path()))

	if _, err := fsatomic.SwapBack(t.Context(), lock, target); !errors.Is(err, fsatomic.ErrNoOld) {
		t.Fatalf("error %v", err)
	}
	check(t, openDir(t, m).Link("tigerbeetle", "tigerbeetle-old"))
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	if _, err := fsatomic.SwapBack(t.Context(), lock, target); !errors.Is(err, fsatomic.ErrSameFile) {
		t.Fatalf("error %v", err)
	}
}

// TestRecoverKinds: what is done about each kind of leftover.
func TestRecoverKinds(t *testing.T) {
	t.Parallel()
	m := scenario{exists: true}.setUp(t, memfs.Options{})
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	put := func(name string) {
		check(t, fsatomic.WriteFile(m, testDir+"/x", 0o644, true, writeString(name)))
		check(t, openDir(t, m).Rename("x", name))
	}
	const prefix = ".tigerbeetle.tbctl-"
	for _, name := range []string{
		prefix + "stage-0123456789abcdef", prefix + "stage-01", prefix + "stage-0123456789abcdefff",
		prefix + "ready-999", prefix + "ready-998", prefix + "ready-0", prefix + "ready-01", prefix + "ready--1",
		prefix + "prev-1", prefix + "prev-997-996", prefix + "prev-995-" + inode(target.File), prefix + "other-1",
		".tigerbeetle2.tbctl-stage-0123456789abcdef",
	} {
		put(name)
	}
	check(t, m.Make(testDir+"/"+prefix+"stage-fedcba9876543210", fsatomic.KindDirectory, 0o755))
	m.CrashAt(0)
	plan, err := fsatomic.Residue(m, target)
	check(t, err)
	if m.Count() != 0 {
		t.Fatalf("changes: %v", m.Trace())
	}
	lock, err := fsatomic.Acquire(t.Context(), m, target, fsatomic.LockOptions{})
	check(t, err)
	done, err := fsatomic.Recover(lock)
	check(t, err)
	if !reflect.DeepEqual(plan, done) {
		t.Fatalf("done %v, planned %v", done, plan)
	}
	got := map[string]fsatomic.Action{}
	for _, leftover := range done.Leftovers {
		got[strings.TrimPrefix(leftover.Path, testDir+"/"+prefix)] = leftover.Action
	}
	want := map[string]fsatomic.Action{
		"stage-0123456789abcdef":         fsatomic.ActionRemoved,
		"prev-995-" + inode(target.File): fsatomic.ActionRemoved,
		"prev-997-996":                   fsatomic.ActionKept,
		"ready-998":                      fsatomic.ActionLeft,
		"ready-999":                      fsatomic.ActionLeft,
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	names, err := openDir(t, m).List("", 100)
	check(t, err)
	if len(names) != 14 {
		t.Fatalf("names %q", names)
	}
	if _, exists := contentsOf(t, m, testName+"-old"); !exists {
		t.Fatal("the orphan was not kept")
	}
}

func inode(info fsatomic.Info) string {
	text, _ := json.Marshal(info.Inode)
	return string(text)
}

// TestErrors: messages and what they match.
func TestErrors(t *testing.T) {
	t.Parallel()
	cause := fs.ErrPermission
	for _, err := range []error{
		&fsatomic.PathError{Op: "op", Path: "/p", Err: cause},
		&fsatomic.AttributeError{Path: "/p", Attribute: "owner", Err: cause},
		&fsatomic.SyncError{Path: "/p", Err: cause},
		&fsatomic.UnknownStateError{Path: "/p", Step: "step", Err: cause},
		&fsatomic.UnknownStateError{Path: "/p", Step: "step", Visible: true, Durable: true, Previous: "/p-old", Err: cause},
	} {
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "/p") || !strings.Contains(err.Error(), "permission") {
			t.Errorf("%T: %v", err, err)
		}
	}
	if err := error(&fsatomic.AttributeError{Attribute: "mode", Err: cause}); errors.Is(err, fsatomic.ErrOwner) || !errors.Is(err, fsatomic.ErrAttribute) {
		t.Errorf("%v", err)
	}
}
