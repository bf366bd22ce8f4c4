package replica

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tbctl/tbctl/multiversion"
	"golang.org/x/sys/unix"
)

const (
	// descriptorsMax is how many descriptors of a process are looked at. A replica makes
	// its memory file when it starts, so that it is among the first.
	descriptorsMax = 4096

	// memoryFilesMax is how many memory files of a process are read. A replica has one.
	memoryFilesMax = 4

	// tornMax is how often a memory file is read that a replica may be writing, and
	// tornPause the time between.
	tornMax   = 5
	tornPause = 2 * time.Millisecond
)

// opened is what the descriptors of a process tell, besides what it is armed with.
type opened struct {
	data    bool            // the data file is among them
	writes  bool            // and is written through one; this and the former not of a believed user's own
	sockets map[uint64]bool // by their numbers
	memory  time.Time       // when a memory file of a replica's was written last
	hidden  int             // how many may be listed, and not followed
	why     error           // for the first of them
}

// descriptors looks through the descriptors of a process: for the memory file that it holds
// the next binary in, whose header comes in front of the headers, and for what else they tell.
// The error is why they, or some of them, could not be looked at.
func (l *look) descriptors(data *pin, headers *[]named) (opened, error) {
	found, err := l.lookThrough(data, headers)
	if found.hidden > 0 {
		l.process.unreadable("fd", fmt.Errorf("%d descriptors are not shown: %w", found.hidden, found.why))
		err = cmp.Or(err, found.why)
	}
	return found, err
}

func (l *look) lookThrough(data *pin, headers *[]named) (opened, error) {
	found := opened{sockets: make(map[uint64]bool)}
	directory, err := l.entry.open("fd")
	if err != nil {
		l.process.unreadable("fd", err)
		return found, err
	}
	defer directory.Close()
	seen := make(map[inode]bool)
	for looked := 0; ; {
		names, err := directory.Readdirnames(namesChunk)
		for _, name := range names {
			l.descriptor(int(directory.Fd()), name, data, &found, seen, headers)
		}
		looked += len(names)
		switch {
		case looked >= descriptorsMax && l.process.Armed == nil:
			err = fmt.Errorf("%w: more than %d", ErrTooMany, descriptorsMax)
			fallthrough
		case err != nil && !errors.Is(err, io.EOF):
			l.process.unreadable("fd", gone(err))
			return found, gone(err)
		case err != nil || looked >= descriptorsMax:
			return found, nil
		}
	}
}

// descriptor looks at one descriptor. A replica has one memory file; should there be more,
// what it would execute is not known, and that is said.
func (l *look) descriptor(directory int, name string, data *pin, opened *opened, seen map[inode]bool, headers *[]named) {
	buffer := make([]byte, len(memfdLink))
	count, err := unix.Readlinkat(directory, name, buffer)
	if err != nil {
		if gone(err) != errGone {
			if opened.hidden++; opened.why == nil {
				opened.why = &os.PathError{Op: "readlink", Path: filepath.Join(l.entry.path, "fd", name), Err: err}
			}
		}
		return
	}
	link := string(buffer[:count])
	if socket, ok := socketInode(link); ok {
		opened.sockets[socket] = true
		return
	}
	memory := link == memfdLink
	if !memory && (data == nil || !l.process.Stranger && data.uid == l.process.UID) {
		return
	}
	found, err := statAt(directory, name)
	switch {
	case err != nil:
		return
	case !memory:
		if found.inode == data.inode {
			opened.data, opened.writes = true, opened.writes || l.writesTo(name)
		}
		return
	case !isMemory(memfdLink, found.inode), seen[found.inode]:
		return
	}
	seen[found.inode], opened.memory = true, found.written
	switch count := len(seen); {
	case count <= memoryFilesMax:
		l.memoryFile(directory, name, headers)
	case count == memoryFilesMax+1:
		l.process.unreadable("fd", fmt.Errorf("%w: more than %d memory files", ErrTooMany, memoryFilesMax))
	}
}

// writesTo reports whether a descriptor of the process is one to write with.
func (l *look) writesTo(name string) bool {
	text, err := l.entry.text("fdinfo/" + name)
	if err != nil {
		return false
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "flags:"); ok {
			flags, err := strconv.ParseUint(strings.TrimSpace(value), 8, 32)
			return err == nil && flags&unix.O_ACCMODE != unix.O_RDONLY
		}
	}
	return false
}

// memoryFile reads a memory file that the process holds.
func (l *look) memoryFile(directory int, name string, headers *[]named) {
	header, err := readHeader(directory, name, filepath.Join(l.entry.path, "fd", name))
	for attempt := 1; damaged(err) && attempt < tornMax && sleep(l.ctx, tornPause) == nil; attempt++ {
		header, err = readHeader(directory, name, filepath.Join(l.entry.path, "fd", name))
	}
	if err != nil {
		if damaged(err) {
			l.process.unreadable("fd", fmt.Errorf("armed binary in descriptor %s: %w", name, err))
		}
		return
	}
	if l.process.Armed != nil {
		l.process.unreadable("fd", fmt.Errorf("descriptors %d and %s both hold a binary to execute", l.process.Armed.FD, name))
	}
	number, _ := strconv.Atoi(name)
	l.process.Armed = &Armed{FD: number, Current: header.Current.Release, Checksum: header.ChecksumBinary, Releases: header.Releases()}
	*headers = append([]named{{name: "the armed binary", header: header}}, *headers...)
}

// damaged reports whether a memory file holds something else than it does at times: nothing
// until the first binary is accepted, and a plain executable for the moment before a past release
// executes.
func damaged(err error) bool {
	return err != nil && gone(err) != errGone && !multiversion.IsPlain(err) && !errors.Is(err, multiversion.RuleKind)
}

// running finds out the release that the process executes. The error is the
// context's or errUnsettled.
func (l *look) running(headers []named) error {
	program := l.program()
	switch {
	case l.ctx.Err() != nil:
		return l.ctx.Err()
	case errors.Is(program.err, errGone):
		return errUnsettled
	case program.err != nil:
		l.process.unreadable("exe", program.err)
	case program.plain:
		l.process.runningFromPack(program.sum, headers)
	default:
		l.process.runningFromExecutable(program.binary.Current())
	}
	return nil
}

// sees finds out whether the replica sees what takes the place of the file at the target.
func (l *look) sees() Sees {
	target, path, here := l.place.files[0], l.polled(), l.here()
	switch {
	case here && l.place.isTarget(path):
		return SeesTarget
	case target == (inode{}) || path == "":
		return ""
	}
	found, err := l.inside(path)
	if errors.Is(gone(err), errGone) {
		return l.otherwise(SeesNothing, path, here)
	}
	if err != nil {
		return ""
	}
	defer found.close()
	l.alike = found.uid == l.place.owner
	name := readlinkOrEmpty(found.again())
	switch {
	case here && l.place.isTarget(name):
		return SeesTarget
	case found.inode != target:
		return l.otherwise(SeesOther, path, here)
	case found.mountRoot:
		return SeesMounted
	case found.links > 1 && !l.inTargetsPlace(name):
		return l.otherwise(SeesOther, path, true)
	}
	return SeesTarget
}

// otherwise is what a replica sees that does not look at the target. While a swap goes on nothing is claimed.
func (l *look) otherwise(sees Sees, path string, named bool) Sees {
	if now, err := statHere(l.place.paths[0]); err != nil || now.inode != l.place.files[0] {
		return ""
	}
	if named {
		l.process.LooksAt = path
	}
	return sees
}

// inTargetsPlace reports whether a name of the target's file, as the kernel says it, is the one that is replaced: it has the
// target's last part, in the target's directory. Where that cannot be seen it is taken to be.
func (l *look) inTargetsPlace(name string) bool {
	if filepath.Base(name) != filepath.Base(l.place.paths[0]) {
		return false
	}
	root, err := l.entry.link("root")
	below, ok := strings.CutPrefix(filepath.Dir(name), strings.TrimSuffix(root, "/"))
	if err != nil || !ok {
		return true
	}
	directory, err := l.inside(cmp.Or(below, "/"))
	if err != nil {
		return true
	}
	defer directory.close()
	here, err := statHere(filepath.Dir(l.place.paths[0]))
	return err != nil || here.inode == directory.inode
}

// polled is the path at which a replica looks for a new binary, in its own root: the one
// that it was started from. Of what executes in memory argv[0] is that path; of a file the kernel says it, as long as
// no swap has moved the file. It is empty where that is not known.
func (l *look) polled() string {
	command := l.args.command
	path, _ := l.id.path()
	executes := !l.id.memory() && l.here()
	switch called := filepath.Base(path) == filepath.Base(command); {
	case executes && path == l.place.paths[0], executes && called && !strings.Contains(command, "/"):
		return path
	case executes && l.place.means(path) && !called && !l.place.isTarget(command): // moved by a swap, and argv[0] can be anything
		return ""
	case filepath.IsAbs(command), executes && strings.Contains(command, "/"): // from its working directory
		return command
	case l.id.memory() || l.sameMount(): // a path as the kernel says it is spelled from our root
		return ""
	}
	return strings.TrimSuffix(path, "-old")
}
