package fsatomic_test

import (
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestWriteBack requires that the device is asked to begin before all is written, for each
// byte once and only for those that were written.
func TestWriteBack(t *testing.T) {
	t.Parallel()
	asked := &askedFS{FS: memfs.New(memfs.Options{})}
	check(t, durable.MkdirAll(asked.FS, "/bin", 0o755))
	target, err := fsatomic.Lookup(asked, "/bin/program")
	check(t, err)
	lock, err := fsatomic.Acquire(t.Context(), asked, target, fsatomic.LockOptions{})
	check(t, err)
	defer lock.Release()
	_, err = fsatomic.Recover(lock, fsatomic.Recorded{})
	check(t, err)
	staged, err := fsatomic.Stage(lock, target, 0)
	check(t, err)
	defer staged.Abort()
	data := make([]byte, 3<<20)
	for range 10 {
		_, err := staged.Write(data)
		check(t, err)
		if asked.begun > staged.Size() {
			t.Fatalf("%d bytes were to be begun, %d were written", asked.begun, staged.Size())
		}
	}
	if asked.begun < staged.Size()/2 || asked.broken {
		t.Errorf("%+v of %d bytes", asked, staged.Size())
	}
}

// askedFS notes what is asked for.
type askedFS struct {
	vfs.FS
	begun  int64
	broken bool // not one piece after the other
}

type askedDir struct {
	vfs.Dir
	fs *askedFS
}

type askedFile struct {
	vfs.File
	fs *askedFS
}

func (a *askedFS) OpenDir(name string) (vfs.Dir, error) {
	dir, err := a.FS.OpenDir(name)
	return askedDir{dir, a}, err
}

func (d askedDir) Create(name string, mode vfs.Mode) (vfs.File, error) {
	file, err := d.Dir.Create(name, mode)
	return askedFile{file, d.fs}, err
}

func (f askedFile) WriteBack(offset, size int64) {
	f.fs.broken = f.fs.broken || offset != f.fs.begun || size <= 0
	f.fs.begun = offset + size
}
