package replica

import (
	"errors"
	"path/filepath"

	"github.com/tbctl/tbctl/vfs"
)

// access fills in as whom the process asks the file system, and what keeps it from the file at the target.
func (l *look) access() {
	here := l.here()
	if !here && !l.alike { // a mount may show other owners than it has
		return
	}
	as, ok := l.asks()
	if !ok {
		return
	}
	l.process.as = &as
	if l.place.guarded == nil {
		return
	}
	var err error
	if here { // elsewhere its way leads through other directories
		err = as.MayReach(filepath.Dir(l.place.paths[0]))
	}
	if err == nil {
		err = as.MayExecute(*l.place.guarded)
	}
	if denied, ok := errors.AsType[*vfs.DeniedError](err); ok {
		l.process.denied, l.process.Denied, l.process.DeniedRight = denied, denied.Error(), denied.Right
	}
}

// asks is as whom the process asks the file system.
func (l *look) asks() (vfs.User, bool) {
	text, err := l.entry.text("status")
	if err != nil {
		return vfs.User{}, false
	}
	as, ok := parseAsks(text)
	if !ok {
		return vfs.User{}, false
	}
	if as.Override || as.Search {
		uids, uidErr := l.entry.text("uid_map")
		gids, gidErr := l.entry.text("gid_map")
		if uidErr != nil || gidErr != nil {
			return vfs.User{}, false
		}
		as.UIDs, as.GIDs = parseIDs(uids), parseIDs(gids)
	}
	as.Name = l.process.User()
	return as, true
}

// guarding is what decides who may use the file at a path of ours; nil if that is not known.
func guarding(path string) *vfs.Guarded {
	held, err := pinHere(path)
	if err != nil {
		return nil
	}
	defer held.close()
	found, err := vfs.GuardedAt(held.again())
	if err != nil || !held.regular() {
		return nil
	}
	found.Path = path
	return &found
}
