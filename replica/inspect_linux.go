package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"golang.org/x/sys/unix"
)

const (
	// textMax bounds what is read of /proc's text files, in bytes: a
	// command line may have megabytes.
	textMax = 256 << 10

	suffixDeleted = " (deleted)"
	memfdLink     = "/memfd:" + MemfdName
)

// inspect finds out all about one process, or returns errGone if it has ended or
// does not run from the target. While a process executes something its command line
// is empty for a moment: that is errUnsettled, unless this is the last attempt.
func (f *Finder) inspect(ctx context.Context, place *place, pid int, last bool) (Process, executable, error) {
	identity, exeErr := f.identify(pid)
	key := identity.executable
	if errors.Is(exeErr, errGone) || errors.Is(exeErr, errUnsettled) {
		return Process{}, key, exeErr
	}
	cmdline, err := f.text(pid, "cmdline")
	if errors.Is(err, errGone) {
		return Process{}, key, errUnsettled
	}
	args := parseArguments(cmdline)
	process := Process{PID: pid, Exe: identity.link, Origin: OriginUnknown, Running: Running{Source: SourceNone}}
	if exeErr == nil {
		process.Origin = f.origin(place, identity, args)
	}
	if process.Origin == OriginUnknown && (exeErr == nil || !args.resembles(slices.Concat(place.names, place.paths))) {
		return Process{}, key, errGone
	}
	if exeErr != nil {
		process.unreadable("exe", exeErr)
	}
	if cmdline == "" && err == nil {
		if err = errors.New("it is empty"); !last {
			return Process{}, key, errUnsettled
		}
	}
	if err != nil {
		process.unreadable("cmdline", err)
	}
	process.Command, process.Subcommand = args.command, args.subcommand
	process.Replica = args.subcommand == subcommandStart || err != nil
	if key.started, err = f.owner(&process); err != nil || !process.Replica {
		return process, key, err
	}
	process.Polls, process.NoPolling, process.DataFile = args.noPolling == "", args.noPolling, args.positional
	process.Addresses = args.addresses
	return process, key, f.replica(ctx, place, &process, key)
}

// owner fills in since when and as which user the process runs, and returns its start in
// ticks since the boot. The error is errUnsettled if the process has ended.
func (f *Finder) owner(process *Process) (uint64, error) {
	status, err := f.status(process.PID)
	if errors.Is(err, errGone) {
		return 0, errUnsettled
	}
	if err != nil {
		process.unreadable("stat", err)
	}
	process.Started = f.startTime(status.started)
	if info, err := os.Stat(f.path(process.PID, "")); err == nil {
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			process.UID = sys.Uid
		}
	}
	return status.started, nil
}

// replica fills in what a replica runs, is armed with and offers. The error is
// that of running.
func (f *Finder) replica(ctx context.Context, place *place, process *Process, key executable) error {
	f.superblock(ctx, process)
	headers := f.headers(place)
	f.armed(process, &headers)
	if process.Origin != OriginUnknown {
		if err := f.running(ctx, process, key, headers); err != nil {
			return err
		}
	}
	if process.Running.Release == 0 {
		process.runningFromDataFile()
	}
	process.offer(headers)
	f.state(process)
	return nil
}

// origin judges whether the process runs from the target. The kernel says paths as we
// would, in our mount namespace. What a process calls itself counts, whatever its file is
// called now, if it has our root too. Everywhere else text proves nothing; the same
// file at the end of the path, from the process's root, does.
func (f *Finder) origin(place *place, identity identity, args arguments) Origin {
	path, deleted := strings.CutSuffix(identity.link, suffixDeleted)
	memory := strings.HasPrefix(identity.link, memfdLink)
	if memory {
		if path = args.command; path == "" {
			return OriginMemory // the command line could not be read: its path may be this one
		}
	}
	for index, file := range place.files {
		same := file != nil && os.SameFile(identity.info, file)
		if !same && !memory && place.means(index, path) {
			same = f.sameLink(identity.pid, "ns/mnt", place.mount)
		}
		if !same && (args.command == place.names[index] || args.command == place.paths[index]) {
			same = f.sameLink(identity.pid, "ns/mnt", place.mount) && f.sameLink(identity.pid, "root", place.root)
		}
		if !same && file != nil && (memory || deleted) && filepath.IsAbs(path) {
			inside, err := os.Stat(filepath.Join(f.path(identity.pid, "root"), path))
			same = err == nil && os.SameFile(inside, file)
		}
		switch {
		case !same:
		case memory:
			return OriginMemory
		case index == 0 && file != nil && os.SameFile(identity.info, file):
			return OriginTarget
		default:
			return OriginReplaced
		}
	}
	return OriginUnknown
}

// means reports whether a path, as the kernel says it, is the target or the backup with
// this index, or a file with a hidden name beside it: an installer that was interrupted
// leaves the old file with one.
func (p *place) means(index int, path string) bool {
	directory, base := filepath.Split(p.paths[index])
	return path == p.paths[index] || strings.HasPrefix(path, filepath.Join(directory, "."+base+"."))
}

// sameLink reports whether a link of the process says the same as ours. A system
// that does not tell is taken to have but one mount namespace or root.
func (f *Finder) sameLink(pid int, name, ours string) bool {
	text := readlinkOrEmpty(f.path(pid, name))
	return text == ours || text == "" || ours == ""
}

func (f *Finder) status(pid int) (status, error) {
	text, err := f.text(pid, "stat")
	if err != nil {
		return status{}, err
	}
	found, err := parseStatus(text)
	if err != nil {
		return status{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return found, nil
}

// startTime converts ticks since the boot, or returns zero if the boot's time
// is not known.
func (f *Finder) startTime(ticks uint64) time.Time {
	text, err := readText(filepath.Join(f.options.Proc, "stat"))
	if err != nil {
		return time.Time{}
	}
	boot, ok := parseBootTime(text)
	if !ok || ticks > ticksMax {
		return time.Time{}
	}
	return time.Unix(boot+int64(ticks/ticksPerSecond), 0).UTC()
}

func (f *Finder) text(pid int, name string) (string, error) {
	text, err := readText(f.path(pid, name))
	if err != nil {
		return "", gone(err)
	}
	return text, nil
}

func readText(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	var buffer bytes.Buffer
	_, err = io.Copy(&buffer, io.LimitReader(file, textMax))
	return buffer.String(), err
}

// superblock reads the data file that the command line names.
func (f *Finder) superblock(ctx context.Context, process *Process) {
	if process.DataFile == "" {
		process.unreadable(UnreadableDataFile, errors.New("the command line names none"))
		return
	}
	file, err := f.openDataFile(process)
	if err == nil {
		defer file.Close()
		var superblock datafile.Superblock
		if superblock, err = datafile.Read(ctx, file, datafile.Options{}); err == nil {
			process.Superblock = &superblock
			return
		}
	}
	if failure, ok := errors.AsType[*fs.PathError](err); ok {
		failure.Path = process.DataFile // not the way there
	} else {
		err = fmt.Errorf("%s: %w", process.DataFile, err)
	}
	process.unreadable(UnreadableDataFile, err)
}

// openDataFile opens the path as the process means it: from its root or its
// working directory, absolute symlinks included.
func (f *Finder) openDataFile(process *Process) (*os.File, error) {
	base, flags := "root", uint64(unix.RESOLVE_IN_ROOT)
	if !filepath.IsAbs(process.DataFile) {
		base, flags = "cwd", 0
	}
	directory := f.path(process.PID, base)
	fd, err := unix.Open(directory, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: directory, Err: err}
	}
	defer unix.Close(fd)
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: flags}
	file, err := unix.Openat2(fd, process.DataFile, &how)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // an old kernel, or a filter of system calls
		file, err = unix.Openat(fd, strings.TrimLeft(process.DataFile, "/"), unix.O_PATH|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: process.DataFile, Err: err}
	}
	defer unix.Close(file)
	return datafile.Open("/proc/self/fd/" + strconv.Itoa(file))
}
