package fleet

import (
	"time"

	"github.com/tbctl/tbctl/multiversion"
)

// Observation is what one host showed of one target, at one time. It is never remembered for later: what
// is to be decided is looked at first.
type Observation struct {
	Host   string // as the plan or the inventory names it
	Target string // path; "": none was shown

	// Problem is why the host or its target could not be looked at; nil: it could. With a problem nothing
	// below is known but what the host's answer had.
	Problem *Problem

	Machine  string // its machine id
	Boot     string // another one after each start of the host
	Tbctl    string // the version of tbctl there
	Platform multiversion.Platform

	Installed *InstalledFile // nil: nothing is there
	// InstalledFor is for how long that has been there, by the host's own record and clock; 0: not known.
	InstalledFor time.Duration

	// WayBackLost is the SHA-256 of the file that was there when the host was claimed, where that is nowhere on the host any more: neither at
	// the target, nor beside it, nor in the store; "": it is somewhere, no rollout has the host, or that cannot be seen.
	WayBackLost string

	Fence   *Fence // nil: no rollout ever had it
	Alive   bool   // the session of the fence's holder is open
	Despite string // what was done there though a rollout held the target, for people; "": nothing
	Busy    string // who works on the target now; "": nobody
	// Unsettled is an operation on the target of which the host has no outcome, and what is known of it, in words; "": there is none, or it
	// may be under way.
	Unsettled string

	// Require is what the host wants to vouch for a file before it is put at a target: digest, signature, or "" for nothing. PublicKey
	// is the one by which it checks a signature; "": it has none.
	Require   string
	PublicKey string

	Stored    bool      // the artifact is in its store, and its bytes were hashed in this session
	Checked   bool      // the check passed there in this session
	Refusals  []Problem // what speaks against the artifact there, as far as it is seen without a check
	Room      int64     // bytes that are free where the target is; -1: not known
	StoreRoom int64     // bytes of an artifact that its store would take, beside what it leaves free; -1: not known

	// Place tells the target from all others that hosts with the same Boot have; "": not known.
	Place string

	// Blind are the reasons why there may be replicas besides, in words. With any of them, a replica that
	// is not among Replicas cannot be said not to be there.
	Blind    []string
	Replicas []Replica
}

// InstalledFile is the file at a target.
type InstalledFile struct {
	SHA256   string                 // sha256:HEX
	Size     int64                  // in bytes
	Release  multiversion.Release   // its current one; 0: it is no multiversion binary
	Releases []multiversion.Release // all that it holds
	Damaged  string                 // what is wrong with it; "": it is whole
	Recorded string                 // SHA-256 of the file that tbctl put there last; "": not known
}

// Replica is one replica that runs from a target.
type Replica struct {
	PID       int
	Started   time.Time // of the process, by the host's clock: another one is another process
	Polls     bool      // it looks for a new binary by itself
	NoPolling string    // why it does not

	Cluster string // id in hexadecimal digits; "": its data file cannot be read
	Index   int    // in the cluster; -1: not known
	Count   int    // replicas of the cluster without standbys; 0: not known
	Members int    // of the cluster with standbys, as the replica was started; 0: not known
	Standby bool

	State   string               // starting, running, stopped or unknown, as package replica has them
	Running multiversion.Release // 0: not known
	Durable multiversion.Release // of its last checkpoint: what its data needs; 0: not known
	// Armed is the checksum of the body of the binary that it holds in memory, and ArmedRelease the newest release that
	// it offers; nil and 0: none, or they cannot be seen.
	Armed        *multiversion.Checksum
	ArmedRelease multiversion.Release
	// ArmedUnseen is why what it holds cannot be seen; "": it can. Then it is taken for one that may offer anything.
	ArmedUnseen string

	Answers    bool   // it answered a ping: it serves. A standby never does.
	NoAnswer   string // why it did not, in words
	View       uint32
	Checkpoint uint64 // op of the last checkpoint
	Peers      int    // established connections with other replicas, standbys not counted; -1: cannot be seen
	// PeersUnseen is why they cannot be seen, in words; "": not known why, or they can.
	PeersUnseen string
}
