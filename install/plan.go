package install

import (
	"context"
	"io"
	"time"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

// TargetDefault is where a binary is installed if nobody says otherwise.
const TargetDefault = "/usr/local/bin/tigerbeetle"

// ModeDefault is the mode of a file that replaces none.
const ModeDefault vfs.Mode = 0o755

// Origin says where a fetched file came from.
type Origin struct {
	Source string `json:"source"`          // a path, a URL without credentials, or "-"
	Asset  string `json:"asset,omitempty"` // the name of the file fetched, if it is another
	Entry  string `json:"entry,omitempty"` // the executable's name in an archive

	SHA256 string `json:"sha256,omitempty"` // of what was fetched, as it was fetched
	Size   int64  `json:"size,omitempty"`   // of what was fetched, in bytes

	// ExecutableSHA256 is of the bytes that were written. If the fetch knows it, it
	// need not be computed again before the swap: the file is verified by its own
	// checksums then.
	ExecutableSHA256 string `json:"executable_sha256,omitempty"`

	// Tag is what the source calls the release, such as 0.17.5-1, if it does.
	Tag string `json:"tag,omitempty"`

	// Validator is under which the server gave the bytes, such as a strong ETag.
	Validator string `json:"validator,omitempty"`

	Fetched int64 `json:"fetched,omitempty"` // bytes that came over the network in this run
	Resumed int64 `json:"resumed,omitempty"` // bytes that an earlier run had fetched
	Held    int64 `json:"held,omitempty"`    // bytes that this host had, in files that are or were installed or in its store

	Trust   []Trust `json:"trust,omitempty"`
	Trusted bool    `json:"trusted"` // a digest or a signature from outside the file held
}

// Fetch writes the executable's bytes to w and says where they came from. If it
// must start anew it calls Reset on w, which implements [Resetter].
type Fetch func(ctx context.Context, w io.Writer) (Origin, error)

// Resetter forgets what was written.
type Resetter interface{ Reset() error }

// Request says what to install. Target is required; the zero value of the rest
// is useful.
type Request struct {
	Target string // a path; symbolic links are followed
	Source string // for the record and the messages

	// SizeHint is the size of the executable in bytes if it is known before it
	// is fetched. One of [multiversion.SizeMax] or more is rejected with [ErrTooLarge] before
	// anything else is done. For 0 the plan asks for as much room as the installed file
	// takes, since one release is about as large as the next.
	SizeHint int64

	// Expect are the releases of which the new file must have one as its
	// current release; empty accepts any.
	Expect []multiversion.Release

	// Host is the platform that the file must be for; "" accepts any.
	Host multiversion.Platform

	Mode *vfs.Mode // nil: the replaced file's, or [ModeDefault]
	UID  *int      // nil: the replaced file's, or this process's
	GID  *int      // likewise

	// Near is whether the source is this host's own, such as a file: reading it asks
	// nobody for anything, so it may be read only to find out that it is installed already.
	Near bool

	// AlreadyInstalled, unless nil, is asked before anything is fetched, where the installed file may
	// be the one that is asked for. It reports whether the fetch would bring just that file,
	// and then where it would come from and what vouches for it, as the fetch would. from is
	// where the installed file came from; nil if that was not noted. The error ends the
	// operation as one of the fetch.
	AlreadyInstalled func(ctx context.Context, installed File, from *Origin) (origin Origin, already bool, err error)

	// At, unless nil, is the target that Fit and Seen are about, as it was looked up. If Target leads to another
	// name or directory than that, then or under the lock, nothing is changed and the error is [fsatomic.ErrChanged].
	At *fsatomic.Target

	// Fit is what is known of the cluster. Its Host and AllowDowngrade are those
	// of the request.
	Fit verify.ReplaceOptions

	// Refresh, unless nil, finds out again what is known of the cluster, and is asked when
	// the new file is there, under the lock: a replica may have started while it was
	// fetched. It gets the target that is to be changed, which Target may lead to no more. Its result replaces Fit.
	// What was seen is remembered also where it ends with an error.
	Refresh func(ctx context.Context, target fsatomic.Target) (fit verify.ReplaceOptions, seen Seen, err error)

	// MayExecute, unless nil, is asked whether those who run the target can do so with a file of that owner, mode and ACL. Its
	// error refuses the operation; it is asked after Refresh.
	MayExecute func(file vfs.Guarded) (warnings []string, err error)

	// Guard, unless nil, is asked last, under the lock, right before the swap. Its error
	// leaves the target untouched.
	Guard func(ctx context.Context) error

	// Fence is the run of a rollout that this is a part of; nil: of none. With the swap the phase of the stored
	// fence becomes Phase. A target that a rollout holds is not changed by anything that is
	// not its run, the error is a [*fleet.FencedError], and where that cannot be known an [*UnknownFenceError]; with
	// DespiteRollout it is, which is kept in the record.
	Fence          *fleet.Fence
	Phase          fleet.Phase
	DespiteRollout bool

	// PlainRelease is the release of an installed file that has no multiversion
	// sections, 0 if nobody knows.
	PlainRelease multiversion.Release

	// Seen is remembered with the target, see [State], however the operation ends, where
	// the lock can be had; so is what Refresh returns. Forget are data files that are
	// remembered no more, and nor is the release that was reached with one of them.
	Seen
	Forget []string

	// OldSHA256 names the previous file of a rollback by its SHA-256, in hexadecimal digits:
	// that one is put back, whatever is recorded of it, and no other. A person names it: it may get rights by that.
	OldSHA256 string

	// Back is the SHA-256 of the only file that a rollback may put back, and Displaces, of an operation of a rollout, that of
	// the only one that it may displace; "": any. Both only compare: what they name gets no rights by it.
	Back, Displaces string

	AllowDowngrade bool
	DropOld        bool // do not keep the replaced file
	Again          bool // of a rollback: forward again, after one

	Wait time.Duration // for another holder of the lock
}

// Seen is what a run saw of the target's replicas.
type Seen struct {
	// DataFiles are absolute paths of data files that were seen with replicas of the target.
	DataFiles []string

	// Reached is the newest release that was seen. Its time is set when it is remembered.
	Reached verify.Reached

	// Named are data files that the operator named. One of them may be the wrong one, and why
	// an operation is refused, so that only one that comes further remembers them.
	Named []verify.Reached
}

// Action is what a plan would do.
type Action string

// The actions.
const (
	ActionCreate   Action = "create"    // nothing is there
	ActionReplace  Action = "replace"   // a file is replaced
	ActionNone     Action = "none"      // the same bytes are there already
	ActionSwapBack Action = "swap-back" // rollback: both files change places
)

// Plan is everything that is known before anything changes, and what follows
// from it. A dry run prints the plan that the real run applies.
type Plan struct {
	Operation Operation `json:"operation"`
	Action    Action    `json:"action"`

	Target    fsatomic.Target       `json:"target"`
	Installed *File                 `json:"installed"` // nil if nothing is there
	New       *File                 `json:"new"`
	Origin    Origin                `json:"origin"`
	Host      multiversion.Platform `json:"host,omitempty"`

	// DropOld is whether the replaced file is not kept.
	DropOld bool `json:"drop_old,omitempty"`

	// Attributes are those that the new file gets.
	Attributes fsatomic.Attributes `json:"attributes"`

	// Verified is the judgement of the new file, Fit whether it may take the
	// place of the installed one; nil where there was nothing to compare with.
	Verified *verify.Report        `json:"verified"`
	Fit      *verify.ReplaceReport `json:"fit"`

	// Leftovers are what interrupted runs left, and what is done about them.
	Leftovers []fsatomic.Leftover `json:"leftovers,omitempty"`

	// Warnings are for an operator to know; none hinders the operation.
	Warnings []string `json:"warnings,omitempty"`
}

// Outcome is what an operation did.
type Outcome struct {
	Plan    *Plan  `json:"plan"`
	Result  Result `json:"result,omitempty"` // empty for a dry run
	Changed bool   `json:"changed"`
	DryRun  bool   `json:"dry_run"`

	Committed *fsatomic.Committed `json:"committed,omitempty"`

	// ReadBack is the SHA-256 of the file at the target. It was read again after the
	// swap, and its checksum is that of the file that was verified.
	ReadBack string `json:"read_back_sha256,omitempty"`

	// Advisories are what is known of the new file, and of the releases on the way to it.
	// None of them hinders the operation.
	Advisories []advisory.Notice `json:"advisories"`

	// Recovered are the records of interrupted operations that were completed.
	Recovered []Record `json:"recovered,omitempty"`

	Duration time.Duration `json:"-"`
}
