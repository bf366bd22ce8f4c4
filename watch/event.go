package watch

import (
	"fmt"
	"strconv"
	"time"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

// Kind says what happened.
type Kind string

// The kinds. KindBinary comes once at the start, and then with every change.
const (
	KindBinary          Kind = "binary"           // the binary was looked at; see Verdict
	KindReplica         Kind = "replica"          // a replica is there, or is seen for the first time
	KindReplicaStarting Kind = "replica_starting" // it changes its release, or opens its data file
	KindReplicaRunning  Kind = "replica_running"  // it has started, or runs another release
	KindReplicaStopped  Kind = "replica_stopped"  // a signal or a debugger has stopped it: it does nothing until it is continued
	KindReplicaArmed    Kind = "replica_armed"    // what it holds in memory or offers has changed
	KindReplicaEnded    Kind = "replica_ended"
	KindPolling         Kind = "polling" // the kernel's notices are not to be had: see Reason
	KindUnseen          Kind = "unseen"  // there may be replicas that are not seen: see Reason
)

// Event is one thing that happened.
type Event struct {
	Time time.Time `json:"time"`
	Kind Kind      `json:"kind"`
	Path string    `json:"path"` // of the binary

	// Of KindBinary. First marks the look at the start; every later one is a
	// change. File is nil if there is none to look at.
	First   bool                 `json:"first,omitempty"`
	File    *Facts               `json:"file,omitempty"`
	Verdict Verdict              `json:"verdict,omitempty"`
	Rule    multiversion.Rule    `json:"rule,omitempty"`   // that a format error breaks
	Reason  string               `json:"reason,omitempty"` // of all but an accepted binary, of KindPolling and of KindUnseen
	Err     error                `json:"-"`
	Current multiversion.Release `json:"current,omitzero"`
	Header  *multiversion.Header `json:"-"` // of a binary that was read; nil otherwise

	// Running is the release that the verdict was made for, and Old and New what
	// a replica which runs it offered before and offers with this file. If no
	// running release is known, New is all that the file holds.
	Running multiversion.Release   `json:"running,omitzero"`
	Old     []multiversion.Release `json:"releases_bundled_old,omitempty"`
	New     []multiversion.Release `json:"releases_bundled_new,omitempty"`

	// Replicas has the verdict of each replica that counts.
	Replicas []Judgement `json:"replicas,omitempty"`

	// Of the kinds about replicas: the process as it is now, or was last.
	Process *replica.Process `json:"process,omitempty"`
}

// Judgement is what one replica makes of a binary.
type Judgement struct {
	PID     int                    `json:"pid"`
	State   replica.State          `json:"state,omitempty"`
	Running multiversion.Release   `json:"running,omitzero"` // or will, once it has started; 0: not known, and no verdict
	Polls   bool                   `json:"polls"`            // if not, it takes the file at its next start
	Old     []multiversion.Release `json:"releases_bundled_old,omitempty"`
	New     []multiversion.Release `json:"releases_bundled_new,omitempty"`
	Verdict Verdict                `json:"verdict,omitempty"` // none: it does not see the file, or what it runs is not known
	Reason  string                 `json:"reason,omitempty"`
}

// Mode is the type and permission bits of a file as the system has them. As
// text it is octal.
type Mode uint32

// MarshalText implements [encoding.TextMarshaler].
func (m Mode) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%#o", uint32(m)), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Mode) UnmarshalText(text []byte) error {
	mode, err := strconv.ParseUint(string(text), 8, 32)
	if err != nil {
		return fmt.Errorf("mode: %w", err)
	}
	*m = Mode(mode)
	return nil
}

// Facts is what is compared of a file: all that the system tells but the access
// time. Outside of Linux there is only the size, the mode and the modification time.
type Facts struct {
	Dev    uint64    `json:"dev"`
	Ino    uint64    `json:"ino"`
	Mode   Mode      `json:"mode"`
	Nlink  uint64    `json:"nlink"`
	UID    uint32    `json:"uid"`
	GID    uint32    `json:"gid"`
	Size   int64     `json:"size"`   // in bytes
	Blocks int64     `json:"blocks"` // of 512 bytes
	Mtime  time.Time `json:"mtime"`
	Ctime  time.Time `json:"ctime,omitzero"`

	// The same as Dev, Ino, Nlink, Mtime and Ctime, by the names that all other documents have for them.
	Device   uint64    `json:"device"`
	Inode    uint64    `json:"inode"`
	Links    uint64    `json:"links"`
	Modified time.Time `json:"modified"`
	Changed  time.Time `json:"changed,omitzero"`
}

// named fills in the fields that there are twice.
func (f Facts) named() Facts {
	f.Device, f.Inode, f.Links, f.Modified, f.Changed = f.Dev, f.Ino, f.Nlink, f.Mtime, f.Ctime
	return f
}

// same reports whether they are of one file that has not changed: how many blocks it has may come later.
func (f Facts) same(other Facts) bool {
	return f.Dev == other.Dev && f.Ino == other.Ino && f.Size == other.Size && f.Mtime.Equal(other.Mtime) && f.Ctime.Equal(other.Ctime)
}
