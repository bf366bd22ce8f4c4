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
)

const (
	processesMax = 1 << 18
	namesChunk   = 1024

	// unsettledMax is how often a process is read that changes what it
	// executes while it is read.
	unsettledMax = 3
)

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
}

func (f *Finder) locate() (*place, error) {
	found := &place{mount: readlinkOrEmpty(filepath.Join(f.options.Proc, "self/ns/mnt"))}
	for _, name := range append([]string{f.target}, f.options.Backups...) {
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

// resolve resolves the symlinks of a path, or of its directory if there is
// nothing at the path.
func resolve(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	if directory, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(directory, filepath.Base(path))
	}
	return path
}

func readlinkOrEmpty(name string) string {
	text, err := os.Readlink(name)
	if err != nil {
		return ""
	}
	return text
}

// settled inspects a process until it executes the same thing afterwards as
// before.
func (f *Finder) settled(ctx context.Context, place *place, pid int) (Process, executable, error) {
	for attempt := 1; ; attempt++ {
		process, key, err := f.inspect(ctx, place, pid)
		if err != nil || process.Origin == OriginUnknown {
			return process, key, err
		}
		again, err := f.identify(pid)
		if errors.Is(err, errGone) || err == nil && again.executable == key {
			return process, key, err
		}
		if attempt == unsettledMax {
			process.unreadable("exe", errors.New("executes something else each time it is read"))
			process.Running.Certain = false
			return process, key, nil
		}
	}
}

// identity is who a process is and what it executes.
type identity struct {
	executable
	link string
	info os.FileInfo
}

// identify returns errGone if the process has ended or has no executable, as
// kernel threads and zombies, and otherwise what the system refused.
func (f *Finder) identify(pid int) (identity, error) {
	stat, err := f.stat(pid)
	if err != nil {
		return identity{}, err
	}
	found := identity{executable: executable{pid: pid, started: stat}}
	exe := f.path(pid, "exe")
	if found.link, err = os.Readlink(exe); err != nil {
		return found, gone(err)
	}
	if found.info, err = os.Stat(exe); err != nil {
		return found, gone(err)
	}
	if sys, ok := found.info.Sys().(*syscall.Stat_t); ok {
		found.dev, found.ino = sys.Dev, sys.Ino
	}
	return found, nil
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
