package host

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tbctl/tbctl/replica"
)

// dataFileHere returns the absolute path on this host of a replica's data file, which could be
// read. It is empty where the process sees another file under that path than this one does, as
// in a container.
func dataFileHere(process *replica.Process) string {
	proc := fmt.Sprintf("/proc/%d", process.PID)
	path := process.DataFile
	if !filepath.IsAbs(path) {
		working, err := os.Readlink(filepath.Join(proc, "cwd"))
		if err != nil {
			return ""
		}
		path = filepath.Join(working, path)
	}
	theirs, err := os.Stat(filepath.Join(proc, "root", path))
	if err != nil {
		return ""
	}
	ours, err := os.Stat(path)
	if err != nil || !os.SameFile(theirs, ours) {
		return ""
	}
	return path
}
