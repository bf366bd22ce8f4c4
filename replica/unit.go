package replica

import (
	"path"
	"strings"
)

// unitSizeMax is how many bytes a unit's name has at most, as in systemd.
const unitSizeMax = 255

// unitOf is the system's service that a process is in, by the content of its cgroup file; "" if it is in none, or that cannot
// be told for sure: restarting a unit restarts all that is in it. So it is none of a user's own manager, and none of which the
// process is in a part, as a container in its engine's.
func unitOf(cgroups string) string {
	for line := range strings.Lines(cgroups) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 || parts[1] != "" && parts[1] != "name=systemd" {
			continue
		}
		slices, unit := path.Split(parts[2])
		if isUnit(unit) && inSlices(slices) {
			return unit
		}
	}
	return ""
}

// isUnit says that a text is the name of a service that no program takes for an option.
func isUnit(name string) bool {
	const characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@"
	return strings.HasSuffix(name, ".service") && len(name) <= unitSizeMax && name[0] != '-' && name[0] != '.' && strings.Trim(name, characters) == ""
}

// inSlices says that a control group is a slice of the system's.
func inSlices(directory string) bool {
	if !strings.HasPrefix(directory, "/") || strings.HasPrefix(directory, "/user.slice/") {
		return false
	}
	for slice := range strings.SplitSeq(strings.Trim(directory, "/"), "/") {
		if !strings.HasSuffix(slice, ".slice") {
			return false
		}
	}
	return true
}
