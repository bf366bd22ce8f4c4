package watch

import (
	"path/filepath"
	"runtime"

	"github.com/fsnotify/fsnotify"
	"github.com/tbctl/tbctl/vfs"
)

// notices is where the kernel says that something happened at a path. The
// zero value never says anything.
type notices struct {
	watcher *fsnotify.Watcher
	bases   map[string]bool
	arrived chan struct{} // holds one notice at most
	ended   chan struct{}
}

// listen asks for notices about a path and about what it is a symlink to. It
// watches the directories: the file itself is replaced by another. The error says
// why there are none, such as too many watches.
func listen(path string) (*notices, error) {
	if runtime.GOOS == "darwin" {
		// kqueue would hold every file of the directory open.
		return &notices{}, nil
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return &notices{}, err
	}
	n := &notices{watcher: watcher, bases: map[string]bool{}, arrived: make(chan struct{}, 1), ended: make(chan struct{})}
	paths := []string{path}
	if at, err := vfs.Resolve(vfs.OS(), path); err == nil && filepath.Join(at.Dir, at.Base) != path {
		paths = append(paths, filepath.Join(at.Dir, at.Base))
	}
	for _, path := range paths {
		n.bases[filepath.Base(path)] = true
		dir, letGo, err := hold(filepath.Dir(path))
		if err == nil {
			defer letGo() // only when all are watched: another directory would get the same name
			err = watcher.Add(dir)
		}
		if err != nil {
			watcher.Close()
			return &notices{}, err
		}
	}
	go n.forward()
	return n, nil
}

// forward lets one notice stand for all that come while nobody looks.
func (n *notices) forward() {
	defer close(n.ended)
	for {
		select {
		case event, open := <-n.watcher.Events:
			if !open {
				return
			}
			if !n.bases[filepath.Base(event.Name)] {
				continue
			}
		case _, open := <-n.watcher.Errors: // notices were lost
			if !open {
				return
			}
		}
		select {
		case n.arrived <- struct{}{}:
		default:
		}
	}
}

func (n *notices) close() {
	if n.watcher != nil {
		n.watcher.Close() // nothing of it is used any more
		<-n.ended
	}
}
