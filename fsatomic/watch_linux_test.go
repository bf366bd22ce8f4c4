package fsatomic_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
)

// sight is what a replica looks at: everything of stat(2) but the access time.
type sight struct {
	inode, links uint64
	mode         uint32
	size         int64
	mtime, ctime syscall.Timespec
	uid, gid     uint32
}

func see(name string) (sight, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(name, &st); err != nil {
		return sight{}, err
	}
	return sight{st.Ino, uint64(st.Nlink), st.Mode, st.Size, st.Mtim, st.Ctim, st.Uid, st.Gid}, nil
}

// watch records the sights of name until stop, each once in a row.
func watch(t *testing.T, name string, stop *atomic.Bool) (sights []sight, looks int) {
	for {
		last := stop.Load()
		now, err := see(name)
		if err != nil {
			t.Errorf("there was no file: %v", err)
			return sights, looks
		}
		looks++
		if len(sights) == 0 || sights[len(sights)-1] != now {
			sights = append(sights, now)
		}
		if last {
			return sights, looks
		}
	}
}

// file is what tells files apart: the kernel gives numbers of inodes again.
type file struct {
	inode uint64
	mtime syscall.Timespec
}

func (s sight) file() file { return file{s.inode, s.mtime} }

// untorn leaves out sights of a change time that never was: the kernel stores its seconds and its nanoseconds one after the
// other, and a look in between has one of the old time and one of the new.
func untorn(sights []sight) []sight {
	var whole []sight
	for i, now := range sights {
		if i > 0 && i+1 < len(sights) {
			before, after := sights[i-1], sights[i+1]
			mixed := now.ctime == syscall.Timespec{Sec: after.ctime.Sec, Nsec: before.ctime.Nsec} || now.ctime == syscall.Timespec{Sec: before.ctime.Sec, Nsec: after.ctime.Nsec}
			before.ctime, after.ctime = now.ctime, now.ctime
			if mixed && before == now && after == now {
				continue
			}
		}
		whole = append(whole, now)
	}
	return whole
}

// TestUntorn holds what is left out, and that nothing else is.
func TestUntorn(t *testing.T) {
	t.Parallel()
	at := func(sec, nsec int64) sight {
		return sight{inode: 7, ctime: syscall.Timespec{Sec: sec, Nsec: nsec}}
	}
	other := at(6, 900)
	other.inode = 8
	for _, test := range []struct {
		sights []sight
		want   int
	}{
		{[]sight{at(5, 900), at(6, 900), at(6, 4)}, 2},
		{[]sight{at(5, 900), at(5, 4), at(6, 4)}, 2},
		{[]sight{at(5, 900), at(6, 1), at(6, 4)}, 3},
		{[]sight{at(5, 900), other, at(6, 4)}, 3},
		{[]sight{at(5, 900), at(6, 900)}, 2},
	} {
		if got := untorn(test.sights); len(got) != test.want {
			t.Errorf("%v: %v", test.sights, got)
		}
	}
}

// judgeSights returns how often the file on its way out was seen once more,
// with its new change time. The kernel sets that before it makes the exchange
// visible, and may wait for its journal between the two; nobody can avoid it.
// Everything else but one sight for each file fails the test.
func judgeSights(t *testing.T, sights []sight) (files, between int) {
	t.Helper()
	sights = untorn(sights)
	seen := map[file]bool{}
	for i, now := range sights {
		switch {
		case i > 0 && now.file() == sights[i-1].file():
			again := now
			again.ctime = sights[i-1].ctime
			if again != sights[i-1] || (i > 1 && sights[i-2].file() == now.file()) {
				t.Fatalf("file %d changed while it was the target: %+v, %+v", now.inode, sights[i-1], now)
			}
			between++
		case seen[now.file()]:
			t.Fatalf("file %d came back", now.inode)
		default:
			files++
			seen[now.file()] = true
		}
	}
	return files, between
}

// TestOneVisibleChange: while two goroutines replace the file again and again, a
// watcher that looks all the time sees one change for each, and never no file.
func TestOneVisibleChange(t *testing.T) {
	t.Parallel()
	const commits = 50 // by each of two
	for where, dir := range directories(t) {
		t.Run(where, func(t *testing.T) {
			name := filepath.Join(dir, "binary")
			replace(t, vfs.OS(), name, "first", fsatomic.CommitOptions{})
			var stop atomic.Bool
			var wait, watching sync.WaitGroup
			var sights []sight
			var looks int
			watching.Go(func() { sights, looks = watch(t, name, &stop) })
			for who := range 2 {
				wait.Go(func() {
					for i := range commits {
						if err := helperInstallOnce(name, fmt.Sprintf("binary %d of %d", i, who)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wait.Wait()
			stop.Store(true)
			watching.Wait()
			if len(sights) == 0 {
				return
			}
			files, between := judgeSights(t, sights)
			last, err := see(name)
			check(t, err)
			if last != sights[len(sights)-1] {
				t.Fatalf("touched after the last commit: %+v, %+v", sights[len(sights)-1], last)
			}
			t.Logf("%d looks at %d replacements saw %d files, and %d times the old one just before it went", looks, 2*commits, files, between)
			bareExchanges(t, dir, 2*commits)
		})
	}
}

// bareExchanges shows that the look in between exists without this package: it
// does nothing but write, sync, and exchange.
func bareExchanges(t *testing.T, dir string, count int) {
	t.Helper()
	name, other := filepath.Join(dir, "bare"), filepath.Join(dir, "bare-other")
	check(t, os.WriteFile(name, nil, 0o644))
	handle, err := os.Open(dir)
	check(t, err)
	defer handle.Close()
	var stop atomic.Bool
	var watching sync.WaitGroup
	var sights []sight
	watching.Go(func() { sights, _ = watch(t, name, &stop) })
	for i := range count {
		check(t, writeSynced(other, fmt.Sprint(i)))
		check(t, handle.Sync())
		check(t, unix.Renameat2(unix.AT_FDCWD, name, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE))
		check(t, handle.Sync())
		check(t, os.Remove(other))
	}
	stop.Store(true)
	watching.Wait()
	between := 0
	for i := range sights {
		if i > 0 && sights[i].file() == sights[i-1].file() {
			between++
		}
	}
	t.Logf("%d bare exchanges: %d times", count, between)
}

func writeSynced(name, contents string) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = file.WriteString(contents)
	return errors.Join(err, file.Sync(), file.Close())
}
