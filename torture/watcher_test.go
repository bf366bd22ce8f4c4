//go:build linux

package torture

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

// glance is what a replica compares: all of stat(2) but the access time.
type glance struct {
	inode, links, size uint64
	mode, uid, gid     uint32
	mtime, ctime       unix.Timespec
}

// file tells files apart: the kernel gives numbers of inodes again.
type file struct {
	inode uint64
	mtime unix.Timespec
}

func (g glance) file() file { return file{g.inode, g.mtime} }

// watcher does what a replica does, as often as it can.
type watcher struct {
	path    string
	looks   int
	glances []glance      // each once in a row
	read    int           // files read and verified
	current atomic.Uint64 // inode of the file that was seen last
}

func (w *watcher) look() (glance, error) {
	var st unix.Stat_t
	if err := unix.Stat(w.path, &st); err != nil {
		return glance{}, fmt.Errorf("there was no file: %w", err)
	}
	w.looks++
	return glance{st.Ino, uint64(st.Nlink), uint64(st.Size), st.Mode, st.Uid, st.Gid, st.Mtim, st.Ctim}, nil
}

// watch looks until stop, and reads and verifies all that it sees anew.
func (w *watcher) watch(ctx context.Context, stop *atomic.Bool) error {
	for {
		last := stop.Load()
		now, err := w.look()
		if err != nil {
			return err
		}
		if len(w.glances) == 0 || w.glances[len(w.glances)-1] != now {
			w.glances = append(w.glances, now)
			if now.mode&0o100 == 0 {
				return fmt.Errorf("mode %o is not executable", now.mode)
			}
			if err := w.verify(ctx); err != nil {
				return err
			}
			w.current.Store(now.inode)
		}
		if last {
			return nil
		}
	}
}

// verify opens the file as the replica does and checks all of it.
func (w *watcher) verify(ctx context.Context) error {
	file, err := os.Open(w.path)
	if err != nil {
		return err
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	report, err := verify.File(ctx, bytes.NewReader(data), int64(len(data)), verify.Options{})
	if err == nil && !report.Ok {
		err = fmt.Errorf("a file of %d bytes was seen: %s", len(data), report.Diagnosis)
	}
	w.read++
	return err
}

// judge requires one glance for each file, but for the old one's change time just
// before it goes: the kernel sets that before the exchange is visible. It returns
// how many files were seen, and how often that was.
func (w *watcher) judge(t *testing.T) (files, between int) {
	t.Helper()
	seen := make(map[file]bool)
	for index, now := range w.glances {
		switch {
		case index > 0 && now.file() == w.glances[index-1].file():
			again := now
			again.ctime = w.glances[index-1].ctime
			if again != w.glances[index-1] || index > 1 && w.glances[index-2].file() == now.file() {
				t.Errorf("the file changed while it was the target: %+v, %+v", w.glances[index-1], now)
			}
			between++
		case seen[now.file()]:
			t.Errorf("a file came back: %+v", now)
		default:
			files++
			seen[now.file()] = true
		}
	}
	return files, between
}

func ended(done <-chan bool) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// TestWatcher installs again and again under the eyes of a watcher.
func TestWatcher(t *testing.T) {
	t.Parallel()
	installs := sample(30, 3000)
	for where, dir := range map[string]string{"memory": quickDir(t), "disk": diskDir(t)} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, dir)
			p.reset(t, binaryOld, nothing)
			count := installs
			if where == "disk" {
				count /= 5
			}
			spec := func(seed uint64) []byte {
				return testbin.Build(t, tinyelf.Spec(platform(), seed, binaryNew, "0.17.6", binaryOlder, binaryOld))
			}
			data := [][]byte{spec(1), spec(2)}
			in := &install.Installer{FS: vfs.OS()}
			w := &watcher{path: p.target}
			var stop atomic.Bool
			var watchErr error
			done := make(chan bool)
			go func() {
				defer close(done)
				watchErr = w.watch(t.Context(), &stop)
			}()
			for w.current.Load() == 0 && !ended(done) { // the first file is seen, too
				runtime.Gosched()
			}
			for number := range count {
				if number%100 == 0 { // each installation reads its whole journal: keep it like a host's
					in.Journal = &install.Journal{FS: vfs.OS(), Dir: filepath.Join(p.state, strconv.Itoa(number))}
				}
				outcome, err := in.Install(t.Context(), install.Request{Target: p.target, Host: platform()},
					func(_ context.Context, to io.Writer) (install.Origin, error) {
						_, err := to.Write(data[number%2])
						return install.Origin{}, err
					})
				if err != nil || outcome.Result != install.ResultInstalled {
					t.Errorf("installation %d: %v", number, err)
					break
				}
				// A replica looks once a second: it never misses one, and so must the watcher not.
				for w.current.Load() != outcome.Committed.File.Inode && !ended(done) {
					runtime.Gosched()
				}
			}
			var at unix.Stat_t
			check(t, unix.Stat(p.target, &at))
			stop.Store(true)
			<-done
			if watchErr != nil {
				t.Fatal(watchErr)
			}
			files, between := w.judge(t)
			if files != count+1 {
				t.Errorf("%d files were seen, want %d", files, count+1)
			}
			if last := w.glances[len(w.glances)-1]; last.inode != at.Ino || last.ctime != at.Ctim {
				t.Errorf("touched after the last installation: %+v, %+v", at, last)
			}
			tried("installations under a watcher: "+where, count)
			remarked("installations under a watcher: "+where, "%d looks, %d changes, %d read and verified, %d times the kernel's own window",
				w.looks, files-1, w.read, between)
		})
	}
}
