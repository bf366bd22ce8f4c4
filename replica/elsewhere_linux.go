package replica

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// elsewhereError says why a replica that executes another file than the target may be one of the target's.
type elsewhereError struct{ reason string }

func (e *elsewhereError) Error() string { return e.reason }

// stackedKinds are kinds of file systems that may show a file of another one, by the number that it has there. FUSE is
// another such kind, where the numbers may be any.
var stackedKinds = [...]string{"9p", "aufs", "cifs", "ecryptfs", "nfs", "nfs4", "overlay", "smb3", "virtiofs"}

// elsewhere returns why a replica that does not run from the target may be one of the target's all the same, nil if
// nothing says so. A copy somewhere else is another target: its contents prove nothing. What it is seen by is the target's
// size and time in a file system that may show the target, and a data file of the target's. A stranger could make both.
func (l *look) elsewhere() error {
	if l.args.subcommand != subcommandStart || l.process.Stranger && l.entry.service() == "" {
		return nil
	}
	path, _ := l.id.path()
	if l.id.memory() {
		path = l.args.command
	}
	if l.executesShown() || l.callsShown() {
		return &elsewhereError{fmt.Sprintf("runs from %q, which looks like the target through another file system: whether it is a replica of this target cannot be seen", path)}
	}
	if len(l.place.data) == 0 || l.args.positional == "" {
		return nil
	}
	held, err := l.inside(l.args.positional)
	if err != nil {
		return nil
	}
	defer held.close()
	if name := l.place.data[held.inode]; name != "" {
		return &elsewhereError{fmt.Sprintf("has the data file %q, which belongs to this target, but runs from %q: whether it is a replica of this target cannot be seen", name, path)}
	}
	return nil
}

func (l *look) executesShown() bool {
	held, err := pinAt(l.entry.fd, "exe", filepath.Join(l.entry.path, "exe"))
	if err != nil {
		return false
	}
	defer held.close()
	return l.shows(held)
}

// callsShown is about the file that the process calls itself by, and so looks at for the next binary.
func (l *look) callsShown() bool {
	if l.args.command == "" || !filepath.IsAbs(l.args.command) && !l.id.memory() {
		return false
	}
	held, err := l.inside(l.args.command)
	if err != nil {
		return false
	}
	defer held.close()
	return l.shows(held)
}

// shows reports whether a file may be the target, or the one beside it, as another file system shows it.
func (l *look) shows(held *pin) bool {
	for index, file := range l.place.infos {
		if file.inode == (inode{}) || held.dev == file.dev || !held.regular() || held.size != file.size || !held.written.Equal(file.written) {
			continue
		}
		for _, kind := range []string{l.mountedAs(held.fd).kind, l.place.kinds[index]} {
			if strings.HasPrefix(kind, "fuse") || slices.Contains(stackedKinds[:], kind) && uint32(held.ino) == uint32(file.ino) {
				return true
			}
		}
	}
	return false
}
