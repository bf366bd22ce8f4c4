package fsatomic_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// Contents of the files in the crash tests. They differ in length.
const (
	contentsOlder = "the release before the previous one"
	contentsOld   = "the previous release"
	contentsNew   = "the new release, a bit longer than the one before"
	contentsNext  = "the release of the next run"

	testDir    = "/opt/tigerbeetle"
	testName   = testDir + "/tigerbeetle"
	crashSeeds = 6 // random subsets for each crash
)

var errInjected = errors.New("injected")

func testAttributes() fsatomic.Attributes {
	return fsatomic.Attributes{UID: 12, GID: 34, Mode: 0o4750, Xattrs: map[string][]byte{
		fsatomic.XattrCapability: []byte("capabilities"),
		fsatomic.XattrSELinux:    []byte("label\x00"),
		"user.note":              []byte("keep me"),
	}}
}

// scenario is one change of the target.
type scenario struct {
	name   string
	exists bool // there is a target, with contentsOld
	older  bool // there is a previous file, with contentsOlder
	linked bool // or it is another link to the target
	act    func(ctx context.Context, fsys vfs.FS) error
	result string // at the target afterwards
	kept   string // at the previous file's name afterwards; empty: nothing
}

func scenarios() []scenario {
	install := func(options fsatomic.CommitOptions) func(context.Context, vfs.FS) error {
		return func(ctx context.Context, fsys vfs.FS) error { return installOnce(ctx, fsys, contentsNew, options) }
	}
	keep, drop := fsatomic.CommitOptions{}, fsatomic.CommitOptions{DropOld: true}
	return []scenario{
		{"first", false, false, false, install(keep), contentsNew, ""},
		{"second", true, false, false, install(keep), contentsNew, contentsOld},
		{"third", true, true, false, install(keep), contentsNew, contentsOld},
		{"linked", true, false, true, install(keep), contentsNew, contentsOld},
		{"drop", true, true, false, install(drop), contentsNew, contentsOlder},
		{"back", true, true, false, swapBackOnce, contentsOlder, contentsOld},
	}
}

// begin looks up, locks and recovers.
func begin(ctx context.Context, fsys vfs.FS) (*fsatomic.Lock, fsatomic.Target, error) {
	target, err := fsatomic.Lookup(fsys, testName)
	if err != nil {
		return nil, target, err
	}
	lock, err := fsatomic.Acquire(ctx, fsys, target, fsatomic.LockOptions{Command: "test"})
	if err != nil {
		return nil, target, err
	}
	recovery, err := fsatomic.Recover(lock, fsatomic.Recorded{})
	if err == nil && len(recovery.Leftovers) > 0 {
		target, err = fsatomic.Lookup(fsys, testName)
	}
	if err != nil {
		lock.Release()
		return nil, target, err
	}
	return lock, target, nil
}

// installOnce is an installation as a caller makes it.
func installOnce(ctx context.Context, fsys vfs.FS, contents string, options fsatomic.CommitOptions) error {
	lock, target, err := begin(ctx, fsys)
	if err != nil {
		return err
	}
	defer lock.Release()
	staged, err := fsatomic.Stage(lock, target, int64(len(contents))+100)
	if err != nil {
		return err
	}
	attrs := testAttributes()
	if target.Exists {
		attrs = target.Attributes
	}
	if !target.Volume.Xattrs {
		attrs.Xattrs = nil
	}
	_, err = io.WriteString(staged, contents[:5])
	if err == nil {
		_, err = io.WriteString(staged, contents[5:])
	}
	if err == nil {
		err = staged.SetAttributes(attrs)
	}
	if err != nil {
		return errors.Join(err, staged.Abort())
	}
	_, err = staged.Commit(ctx, options)
	return err
}

func swapBackOnce(ctx context.Context, fsys vfs.FS) error {
	lock, target, err := begin(ctx, fsys)
	if err != nil {
		return err
	}
	defer lock.Release()
	_, err = fsatomic.SwapBack(ctx, lock, target)
	return err
}

// systems are the file systems on which every scenario is tried.
func systems() map[string]memfs.Options {
	return map[string]memfs.Options{
		"exchange":         {},
		"no exchange":      {NoExchange: true},
		"reflinks":         {NoExchange: true, Clone: true},
		"plain":            {NoExchange: true, NoNoReplace: true},
		"by name":          {NoExchange: true, NoNoReplace: true, NameInodes: true, NoUnnamed: true},
		"no links":         {NoExchange: true, NoNoReplace: true, NoLinks: true},
		"no attributes":    {NoXattrs: true},
		"umask":            {Umask: 0o777},
		"count everything": {CountReads: true},
		"plain, reads":     {NoExchange: true, NoNoReplace: true, CountReads: true},
	}
}

// setUp makes a durable file system with the scenario's files.
func (s scenario) setUp(t *testing.T, options memfs.Options) *memfs.FS {
	t.Helper()
	m := memfs.New(options)
	for _, dir := range []string{"/opt", testDir} {
		if err := m.Make(dir, vfs.KindDirectory, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if s.older {
		putFile(t, m, testName, contentsOlder, options)
		d := openDir(t, m)
		check(t, d.Rename("tigerbeetle", "tigerbeetle-old"))
		if !options.NoDirSync {
			check(t, d.Sync())
		}
	}
	if s.exists {
		putFile(t, m, testName, contentsOld, options)
	}
	if s.linked {
		d := openDir(t, m)
		check(t, d.Link("tigerbeetle", "tigerbeetle-old"))
		check(t, d.Sync())
	}
	return m
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openDir(t *testing.T, fsys vfs.FS) vfs.Dir {
	t.Helper()
	dir, err := fsys.OpenDir(testDir)
	check(t, err)
	return dir
}

// remove removes a file, durably.
func remove(fsys vfs.FS, name string) error {
	dir, err := fsys.OpenDir(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return errors.Join(dir.Remove(filepath.Base(name)), dir.Sync())
}

// putFile makes a file with the test's attributes, durably.
func putFile(t *testing.T, m *memfs.FS, name, contents string, options memfs.Options) {
	t.Helper()
	dir := openDir(t, m)
	base := name[strings.LastIndex(name, "/")+1:]
	file, err := dir.Create(base, 0o600)
	check(t, err)
	defer file.Close()
	_, err = io.WriteString(file, contents)
	check(t, err)
	attrs := testAttributes()
	check(t, file.Chown(attrs.UID, attrs.GID))
	check(t, file.Chmod(attrs.Mode))
	for key, value := range attrs.Xattrs {
		if !options.NoXattrs {
			check(t, file.SetXattr(key, value))
		}
	}
	check(t, file.Sync())
	if !options.NoDirSync {
		check(t, dir.Sync())
	}
}

// whole describes a file: its contents, and what is wrong with its attributes.
func whole(fsys vfs.FS, options memfs.Options, base string) (string, error) {
	dir, err := fsys.OpenDir(testDir)
	if err != nil {
		return "", err
	}
	file, err := dir.Open(base)
	if err != nil {
		return "", nil // nothing there
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	contents, err := io.ReadAll(io.NewSectionReader(file, 0, info.Size))
	if err != nil {
		return "", err
	}
	want := testAttributes()
	if info.UID != want.UID || info.GID != want.GID || info.Mode != want.Mode {
		return "", fmt.Errorf("%s: owner %d:%d, mode %s", base, info.UID, info.GID, info.Mode)
	}
	got := map[string][]byte{}
	names, _ := file.Xattrs()
	for _, name := range names {
		got[name], _ = file.Xattr(name)
	}
	if !options.NoXattrs && !maps.EqualFunc(got, want.Xattrs, bytes.Equal) {
		return "", fmt.Errorf("%s: attributes %q", base, got)
	}
	return string(contents), nil
}

// world is what is asked of the directory after a crash or fault.
type world struct {
	target, old string
	names       []string
}

func look(t *testing.T, m *memfs.FS, options memfs.Options) world {
	t.Helper()
	var w world
	var err error
	w.target, err = whole(m, options, "tigerbeetle")
	check(t, err)
	w.old, err = whole(m, options, "tigerbeetle-old")
	check(t, err)
	w.names, err = openDir(t, m).List("", 100)
	check(t, err)
	return w
}

// residue returns the names that should not be left.
func (w world) residue() []string {
	var left []string
	for _, name := range w.names {
		switch name {
		case "tigerbeetle", "tigerbeetle-old", ".tigerbeetle.tbctl-lock", ".tigerbeetle.tbctl-state":
		default:
			left = append(left, name)
		}
	}
	return left
}

// before is the target before the scenario.
func (s scenario) before() string {
	if s.exists {
		return contentsOld
	}
	return ""
}

// verify checks what must hold at any time after the scenario was interrupted,
// and that the next runs mend all.
// Only a rename that a failed fsync lost may leave a file for the operator.
func (s scenario) verify(t *testing.T, m *memfs.FS, options memfs.Options, lostRename bool, what string) {
	t.Helper()
	w := look(t, m, options)
	if w.target != s.before() && w.target != s.result {
		t.Fatalf("%s: the target holds %q\n%s", what, w.target, strings.Join(w.names, "\n"))
	}
	at := w.target
	lock, _, err := begin(t.Context(), m)
	if err != nil {
		t.Fatalf("%s: recover: %v", what, err)
	}
	check(t, lock.Release())
	w = look(t, m, options)
	if w.target != at {
		t.Fatalf("%s: recovery changed the target from %q to %q", what, at, w.target)
	}
	if left := w.residue(); len(left) > 0 {
		t.Fatalf("%s: left over: %q", what, left)
	}
	wantOld := ""
	switch {
	case at == s.result:
		wantOld = s.kept
	case s.older:
		wantOld = contentsOlder
	case s.linked:
		wantOld = contentsOld
	}
	if w.old != wantOld {
		t.Fatalf("%s: the target holds %q, the previous file %q, want %q", what, at, w.old, wantOld)
	}
	if err := installOnce(t.Context(), m, contentsNext, fsatomic.CommitOptions{}); err != nil {
		t.Fatalf("%s: next run: %v", what, err)
	}
	m.Restart(memfs.None())
	// A failed fsync may have brought names back.
	lock, _, err = begin(t.Context(), m)
	check(t, err)
	check(t, lock.Release())
	w = look(t, m, options)
	if w.target != contentsNext || w.old != at || (len(w.residue()) > 0 && !lostRename) {
		t.Fatalf("%s: after the next run %+v, want the previous file to be %q", what, w, at)
	}
}

// operations runs the scenario undisturbed and returns how many it takes.
func (s scenario) operations(t *testing.T, options memfs.Options) int {
	t.Helper()
	m := s.setUp(t, options)
	m.CrashAt(0)
	check(t, s.act(t.Context(), m))
	count := m.Count()
	m.Restart(memfs.None())
	if w := look(t, m, options); w.target != s.result || w.old != s.kept || len(w.residue()) > 0 {
		t.Fatalf("undisturbed: %+v", w)
	}
	return count
}

// eachScenario runs a test for every file system and scenario.
func eachScenario(t *testing.T, test func(t *testing.T, s scenario, options memfs.Options)) {
	for name, options := range systems() {
		for _, s := range scenarios() {
			if s.linked && options.NoLinks {
				continue
			}
			t.Run(name+"/"+s.name, func(t *testing.T) {
				t.Parallel()
				test(t, s, options)
			})
		}
	}
}

func writeString(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

func contentsOf(t *testing.T, fsys vfs.FS, name string) (string, bool) {
	t.Helper()
	dir, err := fsys.OpenDir(filepath.Dir(name))
	check(t, err)
	defer dir.Close()
	file, err := dir.Open(filepath.Base(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	check(t, err)
	defer file.Close()
	info, err := file.Stat()
	check(t, err)
	text, err := io.ReadAll(io.NewSectionReader(file, 0, info.Size))
	check(t, err)
	return string(text), true
}
