package replica

import "slices"

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

// stranger reports whether a user's word does not count.
func (u users) stranger(uid uint32) bool {
	system := uid <= systemUserMax || uid >= dynamicUserMin && uid <= dynamicUserMax
	return !system && !slices.Contains(u, uid)
}
