package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

const (
	processesMax = 1 << 18
	namesChunk   = 1024

	// unsettledMax is how often a process is read that executes something else
	// while it is read, and unsettledPause the time between. An upgrade executes
	// three times within a tenth of a second.
	unsettledMax   = 100
	unsettledPause = 2 * time.Millisecond
)

// errUnsettled says that a process is about to execute something.
var errUnsettled = errors.New("in the middle of an execution")

// errGone says that a process has ended, or is not one to look at.
var errGone = errors.New("process is gone")

func (f *Finder) find(ctx context.Context) ([]Process, error) {
	pids, err := f.pids()
	if err != nil {
		return nil, err
	}
	place, err := f.locate()
	if err != nil {
		return nil, err
	}
	found := []Process{}
	alive := make(map[executable]bool)
	for _, pid := range pids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		process, key, err := f.settled(ctx, place, pid)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, process)
		alive[key] = true
	}
	for key := range f.plain {
		if !alive[key] {
			delete(f.plain, key)
		}
	}
	return found, nil
}

// pids lists the processes in ascending order.
func (f *Finder) pids() ([]int, error) {
	directory, err := os.Open(f.options.Proc)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer directory.Close()
	var pids []int
	for {
		names, err := directory.Readdirnames(namesChunk)
		for _, name := range names {
			if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		if len(pids) > processesMax {
			return nil, fmt.Errorf("list processes: %w: more than %d", ErrTooMany, processesMax)
		}
		if errors.Is(err, io.EOF) {
			slices.Sort(pids)
			return pids, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list processes: %w", err)
		}
	}
}

// place is what the target's path and the backups' paths mean at the moment.
type place struct {
	names []string      // target and backups, absolute
	paths []string      // with symlinks resolved: what the kernel says in links
	files []os.FileInfo // nil where there is none
	mount string        // our mount namespace; empty if not known
	root  string        // our root directory; empty if not known
}

func (f *Finder) locate() (*place, error) {
	found := &place{
		mount: readlinkOrEmpty(filepath.Join(f.options.Proc, "self/ns/mnt")),
		root:  readlinkOrEmpty(filepath.Join(f.options.Proc, "self/root")),
	}
	for _, name := range []string{f.target, f.target + "-old"} {
		absolute, err := filepath.Abs(name)
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", name, err)
		}
		resolved := resolve(absolute)
		found.names = append(found.names, absolute)
		found.paths = append(found.paths, resolved)
		info, err := os.Stat(resolved)
		if err != nil {
			info = nil
		}
		found.files = append(found.files, info)
	}
	return found, nil
}

func readlinkOrEmpty(name string) string {
	text, err := os.Readlink(name)
	if err != nil {
		return ""
	}
	return text
}

// settled inspects a process until it executes the same thing afterwards as
// before. One that never does is returned as it was last, with a note.
func (f *Finder) settled(ctx context.Context, place *place, pid int) (Process, executable, error) {
	for attempt := 1; ; attempt++ {
		last := attempt == unsettledMax
		process, key, err := f.inspect(ctx, place, pid, last)
		if err == nil && process.Origin != OriginUnknown {
			again, failure := f.identify(pid)
			again.started = key.started
			if errors.Is(failure, errGone) {
				err = errGone
			} else if failure != nil || again.executable != key {
				err = errUnsettled
			}
		}
		switch {
		case !errors.Is(err, errUnsettled):
			return process, key, err
		case last && process.PID == 0: // without an executable for so long
			return process, key, errGone
		case last:
			process.unreadable("exe", err)
			process.Running.Certain = false
			return process, key, nil
		}
		select {
		case <-ctx.Done():
			return Process{}, executable{}, ctx.Err()
		case <-time.After(unsettledPause):
		}
	}
}

// identity is who a process is and what it executes.
type identity struct {
	executable
	link string
	info os.FileInfo
}

// identify says what a process executes, but not yet when it started. The error is that of absent
// for a process without an executable, and otherwise what the system refused.
func (f *Finder) identify(pid int) (identity, error) {
	found := identity{executable: executable{pid: pid}}
	exe := f.path(pid, "exe")
	var err error
	if found.link, err = os.Readlink(exe); err == nil {
		found.info, err = os.Stat(exe)
	}
	if errors.Is(gone(err), errGone) {
		return found, f.absent(pid)
	}
	if err != nil {
		return found, err
	}
	if sys, ok := found.info.Sys().(*syscall.Stat_t); ok {
		found.dev, found.ino = sys.Dev, sys.Ino
	}
	return found, nil
}

// absent judges a process without an executable: errGone if it has ended or is a thread of
// the kernel. Otherwise it is about to end, or its threads make place for what one of them
// executes: that is errUnsettled.
func (f *Finder) absent(pid int) error {
	status, err := f.status(pid)
	if err != nil || status.kernel || status.ended {
		return errGone
	}
	return errUnsettled
}

// gone turns the errors of a process that is no more into errGone.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return errGone
	}
	return err
}

func (f *Finder) path(pid int, name string) string {
	return filepath.Join(f.options.Proc, strconv.Itoa(pid), name)
}
