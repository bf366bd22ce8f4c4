package replica

import (
	"path/filepath"
	"slices"
)

// origin judges whether the process runs from the target, by the rules of the package's
// comment: what it executes decides, and what it calls itself only says where to look.
func (l *look) origin() Origin {
	if index := l.place.index(l.id.inode); index >= 0 {
		return []Origin{OriginTarget, OriginReplaced}[index]
	}
	path, _ := l.id.path()
	if l.id.memory() {
		switch command := l.args.command; {
		case command == "" && l.process.Stranger, command != "" && !l.leads(command) && !l.mountedFrom(command):
			return OriginUnknown
		case l.process.Stranger && !l.proven():
			return OriginClaimed
		}
		return OriginMemory
	}
	if l.place.means(path) && l.sameMount() {
		return OriginReplaced
	}
	reached := l.place.related(path) && l.reaches(path)
	switch {
	case l.mountedFrom(path) && l.executesAt(path), reached && !l.process.Stranger, (reached || l.leads(l.args.command)) && l.proven():
		return OriginReplaced
	case reached || l.leads(l.args.command):
		return OriginClaimed
	}
	return OriginUnknown
}

// sameMount reports whether the process is in our mount namespace, where paths in links
// are spelled from our root.
func (l *look) sameMount() bool { return l.entry.same("ns/mnt", l.place.mount) }

// here reports whether a path means to the process what it means to us.
func (l *look) here() bool { return l.sameMount() && l.entry.same("root", l.place.root) }

// same reports whether a link of the process says the same as ours. A system
// that does not tell us ours is taken to have but one mount namespace or root.
func (e *entry) same(name, ours string) bool {
	text, err := e.link(name)
	return ours == "" || err == nil && text == ours
}

// leads reports whether a path that the process knows is that of the target or the file
// beside it: by its name, or because the same file is at its end. A relative one is followed from its
// working directory, of what it executes in memory: any other file's own place is known.
func (l *look) leads(path string) bool {
	if path == "" || !filepath.IsAbs(path) && !l.id.memory() {
		return false
	}
	if l.place.named(path) && l.here() {
		return true
	}
	if !l.id.memory() && !l.place.related(path) {
		return false
	}
	found, err := l.inside(path)
	if err != nil {
		l.unanswered(err)
		return false
	}
	defer found.close()
	return l.place.index(found.inode) >= 0
}

// reaches reports whether at the path where the kernel says that the executable was
// there is the target or the file beside it now.
func (l *look) reaches(path string) bool {
	open := l.inside
	if l.sameMount() && !l.process.Stranger {
		open = pinHere
	}
	found, err := open(path)
	if err != nil {
		l.unanswered(err)
		return false
	}
	defer found.close()
	return l.place.index(found.inode) >= 0
}

// mountedFrom reports whether what the process has at a path is a file that is mounted there
// alone, and was at the target or beside it when it was: it stays there when the target is
// replaced, and nothing else tells any more where it came from.
func (l *look) mountedFrom(path string) bool {
	if l.sameMount() || !filepath.IsAbs(path) {
		return false
	}
	text, err := l.entry.text("mountinfo")
	if err != nil {
		return false
	}
	device, file := source(parseMounts(text), path)
	return device != "" && device == l.place.device && slices.Contains(l.place.mounted[:], file)
}

// executesAt reports whether what the process has at a path is what it executes: it may have been
// mounted there since.
func (l *look) executesAt(path string) bool {
	found, err := l.inside(path)
	if err != nil {
		return false
	}
	defer found.close()
	return found.inode == l.id.inode
}

// proven reports whether what the process executes can have been started from the target:
// it is a multiversion binary, or a plain executable that is in the pack of the target or of
// the file beside it. Of a stranger's binary the release must be in one of them, too.
func (l *look) proven() bool {
	program := l.program()
	switch {
	case program.binary != nil:
		return !l.process.Stranger || l.place.holds(program.binary.Current())
	case program.plain:
		_, _, found := findInPacks(program.sum, l.place.headers)
		return found
	}
	return false
}
