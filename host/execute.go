package host

import (
	"errors"
	"fmt"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/tbctl/tbctl/vfs"
)

// mayExecute is a [*vfs.DeniedError] if a replica's user could not take a file at the target, or not be started from it. Where no
// replica runs, the owners of the data files are who will start one, as far as is known: a warning.
func (s *Site) mayExecute(file vfs.Guarded) (warnings []string, err error) {
	runs := false
	for index := range s.Report.Processes {
		process := &s.Report.Processes[index]
		if !process.Counts() {
			continue
		}
		runs = true
		err := process.MayExecute(file)
		denied, ok := errors.AsType[*vfs.DeniedError](err)
		switch {
		case ok && denied.Right == vfs.RightExecute:
			return nil, fmt.Errorf("process %d could not be started again from it: %w", process.PID, err)
		case err != nil:
			return nil, fmt.Errorf("process %d could neither take it nor be started again from it: %w", process.PID, err)
		}
	}
	if runs {
		return nil, nil
	}
	for _, uid := range slices.Compact(slices.Sorted(slices.Values(owners(s.owned, vfs.StatForeign)))) {
		owner := accountOf(uid)
		err := owner.MayReach(filepath.Dir(file.Path))
		if err == nil {
			err = owner.MayExecute(file)
		}
		if denied, ok := errors.AsType[*vfs.DeniedError](err); ok {
			warnings = append(warnings, fmt.Sprintf("a replica of the owner of the data file could not be started: %v; it takes mode %s", denied, denied.Needs()))
		}
	}
	return warnings, nil
}

// accountOf is a user with the groups that this host knows of. Root may read everything.
func accountOf(uid uint32) vfs.User {
	number := strconv.FormatUint(uint64(uid), 10)
	account := vfs.User{UID: int(uid), Override: uid == 0}
	found, err := user.LookupId(number)
	if err != nil {
		return account
	}
	account.Name = found.Username
	groups, _ := found.GroupIds() // at least the first one is known
	for _, group := range append(groups, found.Gid) {
		if id, err := strconv.Atoi(group); err == nil {
			account.Groups = append(account.Groups, id)
		}
	}
	return account
}
