package fsatomic_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// otherAttributes differ from the test's in everything.
func otherAttributes() fsatomic.Attributes {
	return fsatomic.Attributes{UID: 0, GID: 0, Mode: 0o755, Xattrs: map[string][]byte{
		fsatomic.XattrACL:     []byte("access"),
		fsatomic.XattrSELinux: []byte("other\x00"),
		"user.other":          []byte("not the target's"),
	}}
}

// setUpBack has a previous file with other attributes than the target's.
func setUpBack(t *testing.T, options memfs.Options) *memfs.FS {
	t.Helper()
	m := scenario{exists: true, older: true}.setUp(t, options)
	giveAttributes(t, m, "tigerbeetle-old", otherAttributes())
	return m
}

func giveAttributes(t *testing.T, m *memfs.FS, base string, attrs fsatomic.Attributes) {
	t.Helper()
	file, err := openDir(t, m).Open(base)
	check(t, err)
	defer file.Close()
	check(t, file.Chown(attrs.UID, attrs.GID))
	check(t, file.Chmod(attrs.Mode))
	names, err := file.Xattrs()
	if errors.Is(err, vfs.ErrNotSupported) {
		check(t, file.Sync())
		return
	}
	check(t, err)
	for _, name := range names {
		check(t, file.RemoveXattr(name))
	}
	for name, value := range attrs.Xattrs {
		check(t, file.SetXattr(name, value))
	}
	check(t, file.Sync())
}

// attributesOf returns contents and attributes of a file.
func attributesOf(t *testing.T, m *memfs.FS, name string) (string, fsatomic.Attributes) {
	t.Helper()
	target, err := fsatomic.Lookup(m, name)
	check(t, err)
	contents, _ := contentsOf(t, m, name)
	return contents, target.Attributes
}

func sameAttributes(a, b fsatomic.Attributes) bool {
	return a.UID == b.UID && a.GID == b.GID && a.Mode == b.Mode && maps.EqualFunc(a.Xattrs, b.Xattrs, bytes.Equal)
}

// TestSwapBackAttributes: the file that is put back gets what the displaced one
// had, and nothing else.
func TestSwapBackAttributes(t *testing.T) {
	t.Parallel()
	for name, options := range systems() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := setUpBack(t, options)
			_, want := attributesOf(t, m, testName)
			check(t, swapBackOnce(t.Context(), m))
			m.Restart(memfs.None())
			contents, got := attributesOf(t, m, testName)
			if contents != contentsOlder || !sameAttributes(got, want) {
				t.Errorf("the target holds %q with %+v, want %+v", contents, got, want)
			}
			contents, got = attributesOf(t, m, testName+"-old")
			if contents != contentsOld || !sameAttributes(got, want) {
				t.Errorf("the previous file is %q with %+v, want %+v", contents, got, want)
			}
		})
	}
}

// TestSwapBackMode: a target that its owner may not execute does not make the
// previous file such a one.
func TestSwapBackMode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ target, old, want vfs.Mode }{
		{0o640, 0o755, 0o740}, {0o640, 0o644, 0o640}, {0o750, 0o644, 0o750},
	} {
		m := scenario{exists: true, older: true}.setUp(t, memfs.Options{})
		check(t, m.Alter(testName, func(info *vfs.Info) { info.Mode = test.target }))
		check(t, m.Alter(testName+"-old", func(info *vfs.Info) { info.Mode = test.old }))
		check(t, swapBackOnce(t.Context(), m))
		if _, got := attributesOf(t, m, testName); got.Mode != test.want {
			t.Errorf("%s over %s became %s, want %s", test.old, test.target, got.Mode, test.want)
		}
	}
}

// TestSwapBackUntouched: equal attributes are not set again.
func TestSwapBackUntouched(t *testing.T) {
	t.Parallel()
	m := scenario{exists: true, older: true}.setUp(t, memfs.Options{})
	lock, target := lockTarget(t, m, testName)
	m.CrashAt(0)
	_, err := fsatomic.SwapBack(t.Context(), lock, target)
	check(t, err)
	if m.Count() != 4 { // sync the directory, sync the file, exchange, sync the directory
		t.Fatalf("operations: %q", m.Trace())
	}
}

// TestSwapBackRefuses: what cannot be carried over is refused before the swap, and
// the previous file stays what it was.
func TestSwapBackRefuses(t *testing.T) {
	t.Parallel()
	m := setUpBack(t, memfs.Options{})
	_, target := attributesOf(t, m, testName)
	_, old := attributesOf(t, m, testName+"-old")
	m.SetUser(vfs.Self{Chown: true, AnyFile: true, Security: true}) // may not give capabilities
	looked, err := fsatomic.Lookup(m, testName)
	check(t, err)
	if problems := looked.CheckBack(old); len(problems) != 1 || !errors.Is(problems[0], fsatomic.ErrAttribute) {
		t.Errorf("problems %v", problems)
	}
	if problems := looked.CheckBack(target); problems != nil {
		t.Errorf("problems %v although nothing differs", problems)
	}
	err = swapBackOnce(t.Context(), m)
	var failed *fsatomic.AttributeError
	if !errors.As(err, &failed) || failed.Attribute != fsatomic.XattrCapability || !errors.Is(err, syscall.EPERM) {
		t.Fatalf("error %v", err)
	}
	if contents, got := attributesOf(t, m, testName); contents != contentsOld || !sameAttributes(got, target) {
		t.Errorf("the target holds %q with %+v", contents, got)
	}
	if contents, got := attributesOf(t, m, testName+"-old"); contents != contentsOlder || !sameAttributes(got, old) {
		t.Errorf("the previous file is %q with %+v, want %+v", contents, got, old)
	}
}

// TestSwapBackForeign: a previous file that somebody may have planted is not put in place.
func TestSwapBackForeign(t *testing.T) {
	t.Parallel()
	m := scenario{exists: true, older: true}.setUp(t, memfs.Options{})
	check(t, m.Alter(testDir, func(info *vfs.Info) { info.Mode = 0o1777 }))
	check(t, m.Alter(testName+"-old", func(info *vfs.Info) { info.UID = 4711 }))
	if err := swapBackOnce(t.Context(), m); !errors.Is(err, fsatomic.ErrOldOwner) {
		t.Fatalf("error %v", err)
	}
	if contents, _ := contentsOf(t, m, testName); contents != contentsOld {
		t.Fatalf("the target holds %q", contents)
	}
}

// TestSwapBackCrash crashes and kills after every operation, and lets every one
// fail: the target always has its attributes, and the way back stays open.
func TestSwapBackCrash(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]memfs.Options{"exchange": {}, "rename": {NoExchange: true}, "reads": {CountReads: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := setUpBack(t, options)
			m.CrashAt(0)
			check(t, swapBackOnce(t.Context(), m))
			count := m.Count()
			for number := range count {
				for _, how := range []string{"none", "all", "random", "kill", "fail", "fail late"} {
					m := setUpBack(t, options)
					disturbBack(t, m, number+1, how)
					what := fmt.Sprintf("%s at operation %d", how, number+1)
					contents, attrs := attributesOf(t, m, testName)
					if contents != contentsOld && contents != contentsOlder || !sameAttributes(attrs, testAttributes()) {
						t.Fatalf("%s: the target holds %q with %+v", what, contents, attrs)
					}
					lock, target, err := begin(t.Context(), m)
					check(t, err)
					was := contents
					_, err = fsatomic.SwapBack(t.Context(), lock, target)
					if err != nil {
						t.Fatalf("%s: again: %v", what, err)
					}
					check(t, lock.Release())
					m.Restart(memfs.None())
					contents, attrs = attributesOf(t, m, testName)
					if contents == was || !sameAttributes(attrs, testAttributes()) {
						t.Fatalf("%s: again: the target holds %q with %+v", what, contents, attrs)
					}
				}
			}
		})
	}
}

func disturbBack(t *testing.T, m *memfs.FS, number int, how string) {
	t.Helper()
	switch how {
	case "fail":
		m.FailAt(number, errInjected)
	case "fail late":
		m.FailLateAt(number, errInjected)
	default:
		m.CrashAt(number)
	}
	err := swapBackOnce(t.Context(), m)
	switch how {
	case "none":
		m.Restart(memfs.None())
	case "all":
		m.Restart(memfs.All())
	case "random":
		m.Restart(memfs.Random(uint64(number)))
	case "kill":
		m.Kill()
	default:
		if err != nil && !errors.Is(err, errInjected) && !errors.Is(err, io.EOF) {
			t.Fatalf("error %v", err)
		}
	}
}

// TestSwapBackSpokenOf: a leftover whose name has the previous file's inode number
// would later be taken for the file displaced by it, or for a copy of it.
func TestSwapBackSpokenOf(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"ready-%d", "prev-%d-1", "prev-1-%d"} {
		m := scenario{exists: true, older: true}.setUp(t, memfs.Options{})
		lock, target := lockTarget(t, m, testName)
		leftover := testDir + "/.tigerbeetle.tbctl-" + fmt.Sprintf(format, target.Old.Inode)
		check(t, durable.WriteFile(m, leftover, 0o755, false, writeString("somebody's")))
		if _, err := fsatomic.SwapBack(t.Context(), lock, target); !errors.Is(err, fsatomic.ErrInode) {
			t.Errorf("%s: error %v", leftover, err)
		}
		if contents, _ := contentsOf(t, m, testName); contents != contentsOld {
			t.Errorf("%s: the target holds %q", leftover, contents)
		}
	}
}
