package fsatomic_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestLookupPaths: where a path leads, or why it leads nowhere.
func TestLookupPaths(t *testing.T) {
	t.Parallel()
	m := scenario{exists: true}.setUp(t, memfs.Options{})
	for _, dir := range []string{"/data", "/data/1", "/data/1/bin", "/usr", "/usr/bin"} {
		check(t, m.Make(dir, vfs.KindDirectory, 0o755))
	}
	check(t, m.Make("/data/1/bin/app", vfs.KindFile, 0o755))
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
	check(t, m.Make("/usr/bin/pipe", vfs.KindPipe, 0o644))
	check(t, m.Make("/usr/bin/null", vfs.KindDevice, 0o666))

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
		{"/usr/bin/dangling", "", "", vfs.ErrDangling},
		{"/usr/bin/deep", "", "", vfs.ErrDangling},
		{"/usr/bin/loop", "", "", vfs.ErrLinkLoop},
		{"/usr/bin/dir", "", "", vfs.ErrDirectory},
		{"/usr/bin/slash", "", "", vfs.ErrDirectory},
		{"/usr/bin/pipe", "", "", vfs.ErrNotRegular},
		{"/usr/bin/null", "", "", vfs.ErrNotRegular},
		{"/no/such/file", "", "", vfs.ErrNoDirectory},
		{"/opt", "", "", vfs.ErrDirectory},
		{"/opt/", "", "", vfs.ErrDirectory},
		{"/opt/..", "", "", vfs.ErrDirectory},
		{testName + "/", "", "", syscall.ENOTDIR},
		{"/usr/bin/direct/", "", "", syscall.ENOTDIR},
		{"/opt/absent/", "", "", vfs.ErrNoDirectory},
		{"", "", "", vfs.ErrName},
		{"/opt/a\x00b", "", "", vfs.ErrName},
		{"/opt/" + strings.Repeat("x", 201), "", "", vfs.ErrName},
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
	var mode vfs.Mode
	for _, text := range []string{"", "8", "10000", "-1", "0x1"} {
		if mode.UnmarshalText([]byte(text)) == nil {
			t.Errorf("mode %q was taken", text)
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
	if _, err := staged.Write(nil); !errors.Is(err, fs.ErrClosed) {
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
	var failed *durable.SyncError
	if err := staged.Sync(); !errors.As(err, &failed) {
		t.Fatalf("error %v", err)
	}
	if _, err := staged.Commit(t.Context(), fsatomic.CommitOptions{}); !errors.As(err, &failed) {
		t.Fatalf("error %v: a failed fsync was forgotten", err)
	}

	if got := look(t, m, memfs.Options{}); got.target != contentsOld || len(got.residue()) > 0 {
		t.Fatalf("%+v", got)
	}

	staged = stage()
	check(t, durable.WriteFile(m, staged.Path(), 0o644, true, writeString("not ours")))
	check(t, staged.Abort())
	if got, _ := contentsOf(t, m, staged.Path()); got != "not ours" {
		t.Fatalf("aborting removed another file: %q is left", got)
	}
	check(t, remove(m, staged.Path()))

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

// TestErrors: messages and what they match.
func TestErrors(t *testing.T) {
	t.Parallel()
	cause := fs.ErrPermission
	for _, err := range []error{
		&fs.PathError{Op: "op", Path: "/p", Err: cause},
		&fsatomic.AttributeError{Path: "/p", Attribute: "owner", Err: cause},
		&durable.SyncError{Path: "/p", Err: cause},
		&fsatomic.UnknownStateError{Path: "/p", Step: "step", Err: cause},
		&fsatomic.UnknownStateError{Path: "/p", Step: "step", Visible: true, Durable: true, Previous: "/p-old", Err: cause},
	} {
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "/p") || !strings.Contains(err.Error(), "permission") {
			t.Errorf("%T: %v", err, err)
		}
	}
	for want, err := range map[string]error{
		"/b/t: the new file is in place, but may be gone after a power cut: sync of /b: input/output error; the previous file is /b/t-old": &fsatomic.UnknownStateError{
			Path: "/b/t", Step: "sync the directory", Visible: true, Previous: "/b/t-old", Err: &durable.SyncError{Path: "/b", Err: &fs.PathError{Op: "sync", Path: "/b", Err: syscall.EIO}},
		},
		"/b/t: it is unknown which file is at the target: exchange: input/output error": &fsatomic.UnknownStateError{Path: "/b/t", Step: "exchange", Err: syscall.EIO},
		"/b/t: the new file is in place: remove the second name: input/output error":    &fsatomic.UnknownStateError{Path: "/b/t", Step: "remove the second name", Visible: true, Durable: true, Err: syscall.EIO},
	} {
		if err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	if err := error(&fsatomic.AttributeError{Attribute: "mode", Err: cause}); errors.Is(err, fsatomic.ErrOwner) || !errors.Is(err, fsatomic.ErrAttribute) {
		t.Errorf("%v", err)
	}
}

// TestLinkOwner: a link that a stranger put into a directory for everybody is not
// followed, be it the file's own or that of a directory on the way.
func TestLinkOwner(t *testing.T) {
	t.Parallel()
	const self, owner, stranger = 55, 66, 77
	for _, test := range []struct {
		name string
		mode vfs.Mode
		uid  int // of the links
		want error
	}{
		{"stranger", 0o1777, stranger, vfs.ErrLinkOwner},
		{"root in another's directory", 0o1777, 0, vfs.ErrLinkOwner},
		{"own", 0o1777, self, nil},
		{"directory's owner", 0o1777, owner, nil},
		{"not sticky", 0o777, stranger, nil},
		{"not for everybody", 0o1775, stranger, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := scenario{exists: true}.setUp(t, memfs.Options{})
			check(t, m.Make("/tmp", vfs.KindDirectory, 0o755))
			check(t, m.Alter("/tmp", func(info *vfs.Info) { info.Mode, info.UID = test.mode, owner }))
			for name, text := range map[string]string{"/tmp/file": testName, "/tmp/dir": testDir} {
				check(t, m.Symlink(text, name))
				check(t, m.Alter(name, func(info *vfs.Info) { info.UID = test.uid }))
			}
			check(t, m.Symlink("/tmp/file", "/opt/hop"))
			m.SetUser(vfs.Self{UID: self, AnyFile: true})
			for _, name := range []string{"/tmp/file", "/tmp/dir/tigerbeetle", "/opt/hop"} {
				if _, err := fsatomic.Lookup(m, name); !errors.Is(err, test.want) {
					t.Errorf("look up %s: error %v, want %v", name, err, test.want)
				}
				output, err := durable.Create(m, name, 0o644, true)
				if !errors.Is(err, test.want) {
					t.Errorf("create %s: error %v, want %v", name, err, test.want)
				}
				check(t, output.Abort())
			}
		})
	}
}
