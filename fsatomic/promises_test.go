package fsatomic_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestStagedFileIsNotReplaced puts another file in the staged one's place before the swap: it
// is seen before the target is touched.
func TestStagedFileIsNotReplaced(t *testing.T) {
	t.Parallel()
	for name, options := range systems() {
		if options.NameInodes {
			continue // an open file cannot be replaced there
		}
		for _, exists := range []bool{true, false} {
			m := scenario{exists: exists}.setUp(t, options)
			lock, target, err := begin(t.Context(), m)
			check(t, err)
			staged, err := fsatomic.Stage(lock, target, 0)
			check(t, err)
			_, err = staged.Write([]byte(contentsNew))
			check(t, err)
			attrs := testAttributes()
			if options.NoXattrs {
				attrs.Xattrs = nil
			}
			check(t, staged.SetAttributes(attrs))
			check(t, staged.Sync())
			putFile(t, m, testDir+"/other", "somebody's", options)
			check(t, openDir(t, m).Rename("other", filepath.Base(staged.Path())))
			_, err = staged.Commit(t.Context(), fsatomic.CommitOptions{})
			var unknown *fsatomic.UnknownStateError
			if !errors.Is(err, fsatomic.ErrChanged) || errors.As(err, &unknown) {
				t.Errorf("%s: %v", name, err)
			}
			if contents, there := contentsOf(t, m, testName); there != exists || exists && contents != contentsOld {
				t.Errorf("%s: the target is %q, there: %v", name, contents, there)
			}
			check(t, lock.Release())
		}
	}
}

// TestSwapBackGivesBack lets every operation of the way back fail: where the target was not
// touched, the previous file has its own attributes again.
func TestSwapBackGivesBack(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	for name, options := range map[string]memfs.Options{"exchange": {}, "rename": {NoExchange: true}} {
		for number := 1; ; number++ {
			m := setUpBack(t, options)
			oldName := testName + "-old"
			contents, had := attributesOf(t, m, oldName)
			m.FailAt(number, failed)
			err := swapBackOnce(t.Context(), m)
			if m.Count() < number {
				break
			}
			operation := m.Trace()[number-1]
			m.FailAt(0, nil)
			var unknown *fsatomic.UnknownStateError
			if err == nil || errors.As(err, &unknown) {
				continue
			}
			if got, has := attributesOf(t, m, oldName); got != contents || !sameAttributes(has, had) {
				t.Errorf("%s: %s failed (%v): %q has %+v, had %+v", name, operation, err, got, has, had)
			}
		}
	}
}

// TestReadBackIsFromTheDevice requires that the system is asked to forget what it holds before
// the first byte is read back.
func TestReadBackIsFromTheDevice(t *testing.T) {
	t.Parallel()
	m := scenario{exists: true}.setUp(t, memfs.Options{})
	committed := fsatomic.Committed{Path: testName}
	target, err := fsatomic.Lookup(m, testName)
	check(t, err)
	committed.File = target.File
	fsys := &cachedFS{FS: m}
	installed, err := fsatomic.ReadBack(fsys, committed)
	check(t, err)
	defer installed.Close()
	_, err = installed.ReadAt(make([]byte, 3), 0)
	check(t, err)
	if !fsys.forgot || fsys.early {
		t.Errorf("it was asked to forget: %v; read before: %v", fsys.forgot, fsys.early)
	}
}

// cachedFS notes whether it was asked to forget before something was read.
type cachedFS struct {
	vfs.FS
	forgot, early bool
}

type cachedDir struct {
	vfs.Dir
	fs *cachedFS
}

type cachedFile struct {
	vfs.File
	fs *cachedFS
}

func (f *cachedFS) OpenDir(name string) (vfs.Dir, error) {
	dir, err := f.FS.OpenDir(name)
	return cachedDir{dir, f}, err
}

func (d cachedDir) Open(name string) (vfs.File, error) {
	file, err := d.Dir.Open(name)
	return cachedFile{file, d.fs}, err
}

func (f cachedFile) DropCache() { f.fs.forgot = true }

func (f cachedFile) ReadAt(data []byte, offset int64) (int, error) {
	f.fs.early = f.fs.early || !f.fs.forgot
	return f.File.ReadAt(data, offset)
}

// TestReservedSpaceIsGivenBack stages less than was announced: after the seal, and without one
// after the attributes, the rest is free again.
func TestReservedSpaceIsGivenBack(t *testing.T) {
	t.Parallel()
	for _, seal := range []bool{true, false} {
		m := scenario{}.setUp(t, memfs.Options{FreeBytes: 1 << 20})
		free := func() int64 {
			volume, err := openDir(t, m).Volume()
			check(t, err)
			return volume.FreeBytes
		}
		lock, target, err := begin(t.Context(), m)
		check(t, err)
		before := free()
		staged, err := fsatomic.Stage(lock, target, 64<<10)
		check(t, err)
		if held := before - free(); held != 64<<10 {
			t.Fatalf("%d bytes are reserved", held)
		}
		_, err = staged.Write([]byte(contentsNew))
		check(t, err)
		if seal {
			check(t, staged.Seal())
		} else {
			check(t, staged.SetAttributes(testAttributes()))
		}
		if held := before - free(); held != int64(len(contentsNew)) {
			t.Errorf("seal %v: %d bytes are held by %d", seal, held, len(contentsNew))
		}
		check(t, staged.Abort())
		check(t, lock.Release())
	}
}
