package replica

import (
	"net/netip"
	"slices"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
)

// MemfdName is the name of the memory files that replicas execute from and
// hold the next binary in.
const MemfdName = "tigerbeetle-multiversion-1768a738-ef69-4605-8b5c-c6e63580e345"

// Origin says what a process executes.
type Origin string

// The origins. OriginReplaced is a file that stood at the target's path and
// does so no more: it was deleted, replaced or moved to one of the backup names.
const (
	OriginTarget   Origin = "target"
	OriginReplaced Origin = "replaced"
	OriginMemory   Origin = "memory"
	OriginUnknown  Origin = "unknown" // the executable could not be read
	OriginClaimed  Origin = "claimed" // it calls itself like the target, and executes something else
)

// Sees says what a replica finds where it looks for a new binary. Empty is not known.
type Sees string

// What it sees. With SeesMounted the file alone is mounted where the replica runs: it goes on
// seeing this file, whatever takes its place at the target. SeesOther is also this file by another
// name of its own, a hard link, which stays when the target is replaced.
const (
	SeesTarget  Sees = "target"
	SeesMounted Sees = "mounted"
	SeesOther   Sees = "other"
	SeesNothing Sees = "nothing"
)

// Process is a process that runs from the target.
type Process struct {
	PID     int       `json:"pid"`
	UID     uint32    `json:"uid"`              // of the user that started it, as this user namespace has it; 4294967295: it cannot be seen who that is
	Started time.Time `json:"started,omitzero"` // a change of the release does not change it
	Origin  Origin    `json:"origin"`
	Exe     string    `json:"exe"` // the text of the link /proc/PID/exe

	// Stranger reports whether its user is neither root, an account of the system, an owner
	// of the target nor one of [Options].Users. What such a process needs
	// counts only as far as it can have been started from the target.
	Stranger bool `json:"stranger,omitempty"`

	// Service is the service or the container that a stranger's replica runs in, where nobody but root
	// can put a process: it counts. It is empty for others, and where the system does not tell.
	Service string `json:"service,omitempty"`

	// Unit is the service of systemd that a replica runs in, with nothing in between; "" if that is none of the system's.
	Unit string `json:"-"`

	// Replica reports whether this is a replica: the subcommand is start, or
	// the command line could not be read.
	// Of other processes nothing below is known but the command line.
	Replica    bool   `json:"replica"`
	Command    string `json:"command"` // argv[0]
	Subcommand string `json:"subcommand"`

	// Polls reports whether the replica looks for a new binary by itself. If
	// not, NoPolling says why, and a new binary needs a restart.
	Polls     bool   `json:"polls"`
	NoPolling string `json:"no_polling,omitempty"`

	Stopped bool `json:"stopped,omitempty"` // by a signal or a debugger, or frozen: it does nothing until it is continued
	Frozen  bool `json:"frozen,omitempty"`  // with its control group, as by docker pause or systemctl freeze
	Sees    Sees `json:"sees,omitempty"`

	// LooksAt is the path at which it looks for a new binary, where that is another one of this host's than the target's and
	// its symbolic links': what takes the target's place is never seen there.
	LooksAt string `json:"looks_at,omitempty"`

	// Denied says that its user may not read or not execute the file at the target, or not pass through a directory on the
	// way, and DeniedRight which of these. Empty: he may, or it cannot be seen.
	Denied      string    `json:"denied,omitempty"`
	DeniedRight vfs.Right `json:"denied_right,omitempty"`
	denied      *vfs.DeniedError
	as          *vfs.User // nil: not known

	DataFile     string               `json:"data_file,omitempty"`      // as on the command line
	DataFilePath string               `json:"data_file_path,omitempty"` // where the same file is from here, if anywhere
	Superblock   *datafile.Superblock `json:"superblock,omitempty"`

	// Holds says that its user owns its data file, or that it has it open to write.
	Holds bool `json:"-"`

	// State says how far it is. StartingSince is the time at which one that starts began to,
	// zero if that is not known.
	State         State     `json:"state,omitempty"`
	StartingSince time.Time `json:"starting_since,omitzero"`

	Addresses string           `json:"addresses,omitempty"` // of the cluster, as on the command line
	Listens   []netip.AddrPort `json:"listens,omitempty"`   // where it does
	network   network

	Peers *Peers `json:"peers"` // nil: not seen, or it is no replica

	Running Running `json:"running"`
	Armed   *Armed  `json:"armed,omitempty"` // nil: not armed, or unreadable

	Unreadable []Unreadable `json:"unreadable,omitempty"`
}

// RunningSource says where the release that runs is known from.
type RunningSource string

// The sources. An executable that is a whole multiversion binary runs its current
// release, once it has looked into the data file; until then it may be about to execute a
// past one. A plain executable is found by its checksum in a pack. The data file
// alone says which release ran at the last checkpoint.
const (
	SourceExecutable RunningSource = "executable"
	SourcePack       RunningSource = "pack"
	SourceDataFile   RunningSource = "data_file"
	SourceNone       RunningSource = "none"
)

// Running is the release that a replica runs. Release is 0 if it is not known.
type Running struct {
	Release multiversion.Release `json:"release,omitzero"`
	Source  RunningSource        `json:"source"`

	// Certain is set for a plain executable found in a pack, and for a
	// multiversion executable whose data file has the same release. Otherwise Note says what
	// is in doubt.
	Certain bool   `json:"certain"`
	Note    string `json:"note,omitempty"`
}

// Armed is the binary that a replica holds in memory.
type Armed struct {
	FD       int                    `json:"fd"`
	Current  multiversion.Release   `json:"current"`
	Checksum multiversion.Checksum  `json:"checksum_binary_without_header"`
	Releases []multiversion.Release `json:"releases"` // all that it holds

	// Offered is what the replica offers the cluster: those that may be
	// advertised from the release that runs. Nil if that is not known, and while it starts.
	Offered []multiversion.Release `json:"offered"`
}

// Newest returns the newest release offered, or 0.
func (a *Armed) Newest() multiversion.Release {
	var newest multiversion.Release
	if a != nil {
		for _, release := range a.Offered {
			newest = max(newest, release)
		}
	}
	return newest
}

// What a data file and sockets are called in [Unreadable].
const (
	UnreadableDataFile = "data file"
	UnreadableSockets  = "sockets"
)

// Unreadable says what of a process could not be read, and why.
type Unreadable struct {
	What   string `json:"what"` // exe, cmdline, fd, stat, sockets, data file
	Reason string `json:"reason"`
	Err    error  `json:"-"`
}

func (p *Process) unreadable(what string, err error) {
	p.Unreadable = append(p.Unreadable, Unreadable{What: what, Reason: err.Error(), Err: err})
}

// cannotRead reports whether something could not be read.
func (p *Process) cannotRead(what string) bool {
	return slices.ContainsFunc(p.Unreadable, func(unreadable Unreadable) bool { return unreadable.What == what })
}
