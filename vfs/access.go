package vfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// User is one as whom a process asks the file system.
type User struct {
	UID    int
	Name   string // for people; "" is the number
	Groups []int  // all of them

	// Override is whether it reads everything, and executes what anybody may execute (CAP_DAC_OVERRIDE); Search
	// whether it reads everything, and passes through every directory (CAP_DAC_READ_SEARCH). Both count for what belongs to UIDs and
	// GIDs; nil: to everybody.
	Override, Search bool
	UIDs, GIDs       []IDs
}

// IDs are so many numbers of users or groups.
type IDs struct{ First, Count int }

// Right is what a user needs of a file or a directory.
type Right string

// The rights.
const (
	RightRead    Right = "read"
	RightExecute Right = "execute"
	RightSearch  Right = "pass through" // of a directory
)

// Guarded is what decides who may use a file or a directory.
type Guarded struct {
	Path     string
	UID, GID int
	Mode     Mode
	ACL      []byte // as the system has it; nil: there is none
}

// DeniedError says that a user lacks a right.
type DeniedError struct {
	User  User
	Right Right
	Of    Guarded
}

// Error names the user, the right, and what decides it.
func (e *DeniedError) Error() string {
	text := fmt.Sprintf("user %s may not %s %s (mode %s, of %d:%d", e.User, e.Right, e.Of.Path, e.Of.Mode, e.Of.UID, e.Of.GID)
	if e.Of.ACL != nil {
		text += ", with an ACL"
	}
	return text + ")"
}

// Needs is a mode with which the user may.
func (e *DeniedError) Needs() Mode {
	bits := Mode(0o555)
	if e.Right == RightSearch {
		bits = 0o111
	}
	switch {
	case e.User.UID == e.Of.UID:
		bits &= 0o700
	case slices.Contains(e.User.Groups, e.Of.GID):
		bits &= 0o770
	}
	return e.Of.Mode | bits
}

// String is the user's name.
func (u User) String() string {
	if u.Name != "" {
		return u.Name
	}
	return fmt.Sprint(u.UID)
}

// MayExecute is a [*DeniedError] if the user may not read or not execute a file, as a replica does with its binary: it
// opens the file to see what is new, and is started from it. [ErrNotSupported] is for an ACL that is not understood.
func (u User) MayExecute(file Guarded) error {
	has, err := u.rights(file)
	if err != nil {
		return err
	}
	if u.over(file, u.Override) {
		has |= 0o4
		if file.Mode&0o111 != 0 {
			has |= 0o1
		}
	}
	if u.over(file, u.Search) {
		has |= 0o4
	}
	switch {
	case has&0o4 == 0:
		return &DeniedError{User: u, Right: RightRead, Of: file}
	case has&0o1 == 0:
		return &DeniedError{User: u, Right: RightExecute, Of: file}
	}
	return nil
}

// mayPass is a [*DeniedError] if the user may not pass through a directory.
func (u User) mayPass(dir Guarded) error {
	has, err := u.rights(dir)
	if err != nil {
		return err
	}
	if has&0o1 == 0 && !u.over(dir, u.Override || u.Search) {
		return &DeniedError{User: u, Right: RightSearch, Of: dir}
	}
	return nil
}

// MayReach is mayPass for a directory, by its path without links, and for all above it. What cannot be looked at is no error.
func (u User) MayReach(dir string) error {
	for at := dir; ; at = filepath.Dir(at) {
		if found, err := GuardedAt(at); err == nil {
			if denied, ok := errors.AsType[*DeniedError](u.mayPass(found)); ok {
				return denied
			}
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// over reports whether a capability counts for what is guarded: who it belongs to is known in the user's namespace.
func (u User) over(what Guarded, capable bool) bool {
	return capable && within(u.UIDs, what.UID) && within(u.GIDs, what.GID)
}

func within(ids []IDs, id int) bool {
	return ids == nil || slices.ContainsFunc(ids, func(each IDs) bool { return id >= each.First && id-each.First < each.Count })
}

// The entries of an ACL, and how long they are.
const (
	aclUserObject  = 0x01
	aclUser        = 0x02
	aclGroupObject = 0x04
	aclGroup       = 0x08
	aclMask        = 0x10
	aclOther       = 0x20

	aclVersion   = 2
	aclHeader    = 4
	aclEntry     = 8
	aclSizeLimit = 64 << 10
)

// rights are those that mode and ACL give, as one octal digit.
func (u User) rights(what Guarded) (Mode, error) {
	switch {
	case what.ACL != nil:
		return u.listed(what)
	case u.UID == what.UID:
		return what.Mode >> 6 & 7, nil
	case slices.Contains(u.Groups, what.GID):
		return what.Mode >> 3 & 7, nil
	}
	return what.Mode & 7, nil
}

// listed are the rights that an ACL gives.
func (u User) listed(what Guarded) (Mode, error) {
	text := what.ACL
	if len(text) < aclHeader || len(text) > aclSizeLimit || (len(text)-aclHeader)%aclEntry != 0 || binary.LittleEndian.Uint32(text) != aclVersion {
		return 0, fmt.Errorf("the ACL of %s: %w", what.Path, ErrNotSupported)
	}
	mask, owner, other := Mode(7), Mode(0), Mode(0)
	var user, groups *Mode
	for entry := range slices.Chunk(text[aclHeader:], aclEntry) {
		rights, id := Mode(binary.LittleEndian.Uint16(entry[2:])&7), int(binary.LittleEndian.Uint32(entry[4:]))
		tag := binary.LittleEndian.Uint16(entry)
		if tag == aclGroupObject {
			id = what.GID
		}
		switch tag {
		case aclUserObject:
			owner = rights
		case aclOther:
			other = rights
		case aclMask:
			mask = rights
		case aclUser:
			if id == u.UID {
				user = &rights
			}
		case aclGroup, aclGroupObject:
			if slices.Contains(u.Groups, id) {
				if groups != nil {
					rights |= *groups
				}
				groups = &rights
			}
		}
	}
	switch {
	case u.UID == what.UID:
		return owner, nil
	case user != nil:
		return *user & mask, nil
	case groups != nil:
		return *groups & mask, nil
	}
	return other, nil
}
