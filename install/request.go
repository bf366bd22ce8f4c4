package install

import (
	"context"
	"io"
	"time"

	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

// TargetDefault is where a binary is installed if nobody says otherwise.
const TargetDefault = "/usr/local/bin/tigerbeetle"

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

	Mode *vfs.Mode // nil: the replaced file's, or [modeDefault]
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

	// Hinders, unless nil, is why nothing may be changed: an installation ends well only where the file is installed already.
	Hinders error

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

	Wait time.Duration // for another holder of the lock; 0: none, but with DespiteRollout 10 seconds
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

// Fetch writes the executable's bytes to w and says where they came from. If it
// must start again it calls w's method Reset() error, which forgets what was written.
type Fetch func(ctx context.Context, w io.Writer) (Origin, error)
