package replica

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
	"golang.org/x/sys/unix"
)

const (
	// unsettledMax is how often a process is read that executes something else
	// while it is read, and unsettledPause the time between. An upgrade executes
	// three times within a tenth of a second.
	unsettledMax   = 100
	unsettledPause = 2 * time.Millisecond

	memfdLink = "/memfd:" + MemfdName
)

// settled looks into a process until it executes the same thing afterwards as
// before. One that never does is returned as it was last, with a note.
func (f *Finder) settled(ctx context.Context, place *place, pid int) (Process, executable, error) {
	for attempt := 1; ; attempt++ {
		last := attempt == unsettledMax
		process, key, err := f.inspect(ctx, place, pid, last)
		switch {
		case !errors.Is(err, errUnsettled):
			return process, key, err
		case last && (process.PID == 0 || process.Origin == OriginUnknown): // without an executable for so long
			return process, key, errGone
		case last:
			process.unreadable("exe", err)
			process.Running.Certain = false
			return process, key, nil
		}
		if err := sleep(ctx, unsettledPause); err != nil {
			return Process{}, executable{}, err
		}
	}
}

// look is one look into one process.
type look struct {
	*Finder
	ctx     context.Context
	place   *place
	entry   *entry
	id      identity
	args    arguments
	key     executable
	process Process

	read   *program // nil: not yet
	theirs []mount  // the process's mounts; nil: not yet
	alike  bool     // the process sees the owner of the file at the target as we do; unset where it is in our place
	hidden error    // why it cannot be seen where the process comes from
}

// inspect finds out all about one process, or returns errGone if it has ended or
// does not run from the target. While a process executes something its command line
// is empty for a moment: that is errUnsettled, unless this is the last attempt.
func (f *Finder) inspect(ctx context.Context, place *place, pid int, last bool) (Process, executable, error) {
	entry, id, err := f.open(pid)
	if err != nil {
		return Process{}, executable{}, err
	}
	defer entry.close()
	l := &look{Finder: f, ctx: ctx, place: place, entry: entry, id: id, key: executable{pid: pid, dev: id.dev, ino: id.ino}}
	l.process = Process{PID: pid, Exe: id.link, Origin: OriginUnknown, Running: Running{Source: SourceNone}}
	err = l.all(last)
	if err == nil || isElsewhere(err) || errors.Is(err, errGone) {
		// What was not found may have been there before it executed something, or after.
		if now, failure := entry.identify(); failure != nil || now.inode != id.inode {
			err = errUnsettled
		}
	}
	return l.process, l.key, err
}

func (l *look) all(last bool) error {
	args, none, err := l.entry.arguments()
	if errors.Is(err, errGone) {
		return errUnsettled
	}
	process := &l.process
	l.args = args
	process.Command, process.Subcommand = l.args.command, l.args.subcommand
	if failure := l.owner(); failure != nil {
		return failure
	}
	if l.id.err == nil {
		process.Origin = l.origin()
	}
	if process.Origin == OriginUnknown && l.id.err == nil {
		if l.hidden != nil {
			return l.hidden
		}
		if err := l.elsewhere(); err != nil {
			return err
		}
		return errGone
	}
	if l.id.err != nil {
		process.unreadable("exe", l.id.err)
	}
	if none && err == nil {
		if err = errors.New("it is empty"); !last {
			return errUnsettled
		}
	}
	if err != nil {
		process.unreadable("cmdline", err)
	}
	process.Replica = process.Origin != OriginClaimed && (l.args.subcommand == subcommandStart || err != nil)
	if !process.Replica {
		return l.ctx.Err()
	}
	if process.Stranger && process.Origin != OriginUnknown {
		process.Service = l.entry.service()
	}
	if cgroups, err := l.entry.text("cgroup"); err == nil { // else what it says is not known
		process.Unit, process.Frozen = unitOf(cgroups), isFrozen(cgroups)
		process.Stopped = process.Stopped || process.Frozen
	}
	process.Polls, process.NoPolling, process.DataFile = l.args.noPolling == "", l.args.noPolling, l.args.positional
	process.Addresses = l.args.addresses
	if l.args.tooLong {
		process.unreadable("cmdline", fmt.Errorf("the command line is too long: more than %d bytes, or an argument of more than %d", cmdlineMax, argumentMax))
	}
	return l.replica()
}

// owner fills in since when and as which user the process runs, and whether it is
// stopped. The error is errUnsettled if the process has ended.
func (l *look) owner() error {
	state, err := l.entry.status()
	if errors.Is(err, errGone) {
		return errUnsettled
	}
	if err != nil {
		l.process.unreadable("stat", err)
	}
	if l.key.started = state.started; l.id.started != 0 {
		l.key.started = l.id.started
	}
	l.process.Started, l.process.Stopped = l.startTime(l.key.started), state.stopped
	l.process.UID = l.entry.user(l.place.ids)
	l.process.Stranger = l.place.users.stranger(l.process.UID)
	return nil
}

// replica fills in what a replica runs, is armed with and offers, and whether it sees
// what happens at the target. The error is that of running.
func (l *look) replica() error {
	data := l.dataFile()
	if data != nil {
		defer data.close()
	}
	headers := l.place.headers
	opened, err := l.descriptors(data, &headers)
	if data != nil {
		l.process.Holds = opened.writes || data.uid == l.process.UID
		if opened.writes && l.place.data[data.inode] != "" { // who may write it could do worse than to make a replica
			l.process.Stranger = false
		}
		l.superblock(data, opened.data)
	}
	if l.process.Origin != OriginUnknown {
		if err := l.running(headers); err != nil {
			return err
		}
		l.process.Sees = l.sees()
	}
	l.access()
	if l.process.Running.Release == 0 {
		l.process.runningFromDataFile()
	}
	l.state(opened, err)
	l.process.offer(headers)
	return l.ctx.Err()
}

// startTime converts ticks since the boot, or returns zero if the boot's time
// is not known.
func (f *Finder) startTime(ticks uint64) time.Time {
	boot, ok := f.boot()
	if !ok || ticks > ticksMax {
		return time.Time{}
	}
	return time.Unix(boot+int64(ticks/ticksPerSecond), 0).UTC()
}

func (f *Finder) boot() (int64, bool) {
	proc, err := openEntry(f.proc())
	if err != nil {
		return 0, false
	}
	defer proc.close()
	text, err := proc.text("stat")
	if err != nil {
		return 0, false
	}
	return parseBootTime(text)
}

// dataFile holds the data file that the command line names, without opening it.
func (l *look) dataFile() *pin {
	if l.process.DataFile == "" {
		l.process.unreadable(UnreadableDataFile, errors.New("the command line names none"))
		return nil
	}
	held, err := l.inside(l.process.DataFile)
	if err != nil {
		l.process.unreadable(UnreadableDataFile, err)
		return nil
	}
	// Where a path leads to the same file from here, too, it can be found again later.
	if path := readlinkOrEmpty(held.again()); filepath.IsAbs(path) {
		if l.findsHere(path, held) {
			l.process.DataFilePath = path
		}
	}
	return held
}

// findsHere reports whether a file is at a path here, too. In a mount namespace of his own a stranger
// can spell any path, also one that leads to what does not answer here.
func (l *look) findsHere(path string, file *pin) bool {
	if !l.process.Stranger && (l.trusted() || l.place.ours(file.fd)) {
		here, err := statHere(path)
		return err == nil && here.inode == file.inode
	}
	here, err := cachedAt(unix.AT_FDCWD, path, 0)
	if err != nil {
		return false
	}
	defer here.close()
	return here.inode == file.inode
}

// superblock reads the data file. A stranger's is only read if it is his or he has it
// open: he could name one that he may not open himself.
func (l *look) superblock(data *pin, open bool) {
	his := open || data.regular() && data.uid == l.process.UID
	if l.process.Stranger && !his {
		l.process.unreadable(UnreadableDataFile, fmt.Errorf("%s: it is another user's, and the process does not have it open", l.process.DataFile))
		return
	}
	if data.regular() && !l.mayRead(data) {
		l.process.unreadable(UnreadableDataFile, fmt.Errorf("%s: %w", l.process.DataFile, errNotLocal))
		return
	}
	superblock, err := l.readSuperblock(data)
	if err == nil {
		l.process.Superblock = &superblock
		return
	}
	if failure, ok := errors.AsType[*fs.PathError](err); ok {
		failure.Path = l.process.DataFile // not the way there
	} else {
		err = fmt.Errorf("%s: %w", l.process.DataFile, err)
	}
	l.process.unreadable(UnreadableDataFile, err)
}

func (l *look) readSuperblock(data *pin) (datafile.Superblock, error) {
	file, err := datafile.OpenNow(data.again())
	if err != nil {
		return datafile.Superblock{}, err
	}
	defer file.Close()
	return datafile.Read(l.ctx, file)
}

// errNotLocal says why a stranger's file is not read.
var errNotLocal = errors.New("it is in no local file system that is mounted here")

// program is what a process executes.
type program struct {
	binary *multiversion.Binary  // its header: the file is closed
	plain  bool                  // an executable without multiversion sections
	sum    multiversion.Checksum // of a plain one
	err    error
}

// program reads what the process executes, once.
func (l *look) program() *program {
	if l.read == nil {
		l.read = &program{}
		l.read.err = l.readProgram(l.read)
	}
	return l.read
}

func (l *look) readProgram(program *program) error {
	held, err := pinAt(l.entry.fd, "exe", filepath.Join(l.entry.path, "exe"))
	if err != nil {
		return gone(err)
	}
	defer held.close()
	if held.inode != l.id.inode {
		return errGone
	}
	if !l.id.memory() && !l.mayRead(held) {
		return errNotLocal
	}
	file, err := held.open()
	if err != nil {
		return err
	}
	defer file.Close()
	status, err := file.Stat()
	if err != nil {
		return err
	}
	binary, err := multiversion.Parse(file, status.Size())
	if err == nil {
		program.binary = binary
		return nil
	}
	if !multiversion.IsPlain(err) {
		return err
	}
	program.plain = true
	l.mu.Lock()
	sum, known := l.plain[l.key]
	l.mu.Unlock()
	if !known {
		hash := multiversion.NewHash()
		if err := multiversion.HashExtent(l.ctx, hash, file, multiversion.Extent{Size: status.Size()}); err != nil {
			program.plain = false
			return err
		}
		sum = hash.Checksum()
		l.mu.Lock()
		l.plain[l.key] = sum
		l.mu.Unlock()
	}
	program.sum = sum
	return nil
}
