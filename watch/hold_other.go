//go:build !linux

package watch

import "github.com/tbctl/tbctl/vfs"

// hold finds a directory.
func hold(dir string) (name string, letGo func(), err error) {
	name, err = vfs.OS().RealPath(dir)
	return name, func() {}, err
}
