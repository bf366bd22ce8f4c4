package replica

import (
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroupRoot is where the system's manager mounts control groups.
const (
	cgroupRoot  = "/sys/fs/cgroup"
	freezerRoot = cgroupRoot + "/freezer" // of version 1
)

// isFrozen reports whether a control group of a process is frozen, by the content of its cgroup file: docker pause and systemctl freeze
// do that, and no state of the process says so. What cannot be seen from here is not.
func isFrozen(cgroups string) bool { return frozenGroup(cgroups) != "" }

// frozenGroup is the directory of the control group that is frozen, or that was when one above it was; "": none.
func frozenGroup(cgroups string) string {
	for line := range strings.Lines(cgroups) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 || !strings.HasPrefix(parts[2], "/") || slices.Contains(strings.Split(parts[2], "/"), "..") { // not below what is mounted here
			continue
		}
		switch group := parts[2]; {
		case parts[0] == "0" && parts[1] == "":
			for _, root := range []string{cgroupRoot, cgroupRoot + "/unified"} {
				if dir := path.Join(root, group); strings.Contains("\n"+ofCgroup(path.Join(dir, "cgroup.events")), "\nfrozen 1\n") {
					return dir
				}
			}
		case slices.Contains(strings.Split(parts[1], ","), "freezer"):
			dir := path.Join(freezerRoot, group)
			if state := ofCgroup(path.Join(dir, "freezer.state")); state == "FROZEN\n" || state == "FREEZING\n" {
				return dir
			}
		}
	}
	return ""
}

// ofCgroup reads a small file of a control group; "" if it is none.
func ofCgroup(name string) string {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return ""
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	var status unix.Statfs_t
	if err := unix.Fstatfs(fd, &status); err != nil || status.Type != unix.CGROUP_SUPER_MAGIC && status.Type != unix.CGROUP2_SUPER_MAGIC {
		return ""
	}
	text, err := readLimited(file, textMax)
	if err != nil {
		return ""
	}
	return text
}
