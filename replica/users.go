package replica

import (
	"fmt"
	"os/user"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Users are those whose word for what their processes are is taken: root, this process's
// user, the owners of the target and of its directory, those that the caller names, and
// accounts that no person has. Of everyone else only what is proven counts.
type users []uint32

const (
	// systemUserMax is the last user id that belongs to the system and its services, as
	// systemd and the distributions have it.
	systemUserMax = 999

	// dynamicUserMin and dynamicUserMax are the user ids that systemd gives to services
	// with DynamicUser=.
	dynamicUserMin = 61184
	dynamicUserMax = 65519
)

// stranger reports whether a user's word does not count. One of whom it cannot be seen who he is may be root outside
// of this user namespace: what he runs from the target counts, since what is overlooked would do harm.
func (u users) stranger(uid uint32) bool {
	if uid == userUnknown {
		return false
	}
	system := uid <= systemUserMax || uid >= dynamicUserMin && uid <= dynamicUserMax
	return !system && !slices.Contains(u, uid)
}

// Counts reports whether the process is a replica of the target as its operator knows them: one whose user
// is believed, or one in a service. Every other one is shown, and neither meets nor hinders what is
// waited for.
func (p *Process) Counts() bool { return p.Replica && (!p.Stranger || p.Service != "") }

// Who names the process, and the user of one that is a stranger.
func (p *Process) Who() string {
	name := fmt.Sprintf("process %d", p.PID)
	if p.Stranger {
		name += " of user " + p.User()
	}
	return name
}

// User is the name of its user, or the number of one without a name.
func (p *Process) User() string {
	if p.UID == userUnknown {
		return "unknown (it cannot be seen from here who that is)"
	}
	number := strconv.FormatUint(uint64(p.UID), 10)
	if found, err := user.LookupId(number); err == nil {
		return found.Username
	}
	return number
}

// loginNone is the content of /proc/PID/loginuid of a process that no login has led to.
const loginNone = "4294967295"

// systemSlices are where systemd and container engines put what the system runs. What users run is in user.slice or,
// without systemd, in the root.
var systemSlices = [...]string{"system.slice", "machine.slice", "kubepods.slice", "kubepods", "docker"}

// parseService returns the service or container of a process by the content of its cgroup file, "" if it is in
// none: no user can move a process there. What cron, at or sshd runs for a user may be left in their service,
// though, so that no login may have led to the process: that is noted once, and only root can undo it.
func parseService(cgroups, login string) string {
	if strings.TrimSpace(login) != loginNone {
		return ""
	}
	for line := range strings.Lines(cgroups) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 || fields[1] != "" && fields[1] != "name=systemd" {
			continue
		}
		parts := strings.Split(strings.Trim(fields[2], "/"), "/")
		if len(parts) < 2 || !slices.Contains(systemSlices[:], parts[0]) || slices.Contains(parts, "..") {
			continue
		}
		for _, part := range parts[1:] {
			if suffix := path.Ext(part); suffix == ".service" || suffix == ".scope" {
				return part
			}
		}
		if !strings.HasSuffix(parts[0], ".slice") { // an engine that does without systemd
			return parts[len(parts)-1]
		}
	}
	return ""
}
