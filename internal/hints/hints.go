// Package hints says what to type next, for each error that tbctl can end with. It is one switch by the type of the error, and one table
// of the errors that have but a name. An error of which only the command knows what to do is an [Error].
package hints

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/prune"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/extract"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/internal/output"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/inventory"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/rollout"
	"github.com/tbctl/tbctl/state"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

// Explain finds what to type next, and what a program may want to know of an error: what the outermost error in it
// says that knows. Where an error inside decided the class, nothing outside of it knows what is to be done.
func (k *Known) Explain(err error, class fault.Class) (hint string, detail any) {
	if file, ok := errors.AsType[*input.FileError](err); ok {
		known := *k
		known.About.File = file.Name
		k = &known
	}
	decided := class == fault.Unknown || class == fault.Interrupted
	for each := range fault.All(err) {
		if said, ok := each.(interface{ Class() fault.Class }); decided && (!ok || said.Class() != class) {
			continue
		}
		text, more := k.one(each, err)
		if hint == "" {
			hint = text
		}
		if detail == nil {
			detail = more
		}
	}
	switch {
	case hint != "":
	case k.Asked:
	case class == fault.Interrupted && k.Command != "watch": // there it is the usual end
		hint = "run the same command again: nothing is half done"
	case class == fault.Failed:
		hint = k.otherwise(err)
	}
	if os.Geteuid() == 0 {
		hint = toRoot(hint)
	}
	return strings.ReplaceAll(k.About.in(hint), "{again}", k.Line.String()), detail
}

// asOwner is the hint for what this user may not do; {again} is the command line.
const asOwner = "run it as root or as the owner: sudo {again}"

// toRoot is a hint for root, who is not told to be root.
func toRoot(hint string) string {
	if rest, ok := strings.CutPrefix(hint, "run it as root, or "); ok {
		return rest
	}
	if strings.HasPrefix(hint, "run it as root or as the ") {
		return "root may not do that here: is it the file system of another machine, or do a container, a service or a security module leave it fewer rights?"
	}
	return hint
}

// one is what one error knows, of all that there are in whole.
func (k *Known) one(err, whole error) (hint string, detail any) {
	if k.Asked { // what follows names flags of a command that was not typed
		switch err.(type) {
		case *host.UnknownReleaseError, *host.RememberedError, *host.StillRunsError, *install.RefusedError:
			if about, ok := err.(*install.RefusedError); !ok || about.Report != nil && about.Err == nil { //nolint:errorlint // this error, without those in it
				return "see what runs there and what it needs: tbctl status {target}", nil
			}
		}
	}
	switch e := err.(type) {
	case *Error:
		return e.Hint, nil
	case *engine.Error:
		return k.ofEngine(e), nil

	// What is on the disk.
	case *fsatomic.UnknownStateError:
		return "find out what is on the disk: tbctl status " + shell.File(e.Path), nil
	case *install.ReadBackError:
		return "find out what is on the disk: tbctl verify " + shell.File(e.Target), nil
	case *durable.UnsureError:
		return k.ofUnsure(e), nil
	case *durable.SyncError:
		return k.ofSync(e), nil
	case *install.PlanError:
		return k.ofPlan(e), nil
	case *fsatomic.AttributeError:
		return k.ofAttribute(e), nil
	case *durable.BusyError:
		if still := replica.HoldsStill(e.Path); still != nil {
			return ofStill(still), e.Holder
		}
		if k.Command != "install" && k.Command != "rollback" {
			return "run the same command again when that has ended", e.Holder
		}
		return "wait for it: --wait 1m", e.Holder
	case *durable.ScratchError:
		if errors.Is(e, syscall.EFBIG) {
			return "this process may not write files of that size: ulimit -f unlimited", nil
		}
		if k.Asked {
			return "it is kept in a temporary file for a moment: make room, df /tmp", nil
		}
		return "it is kept in a temporary file for a moment: name a directory that can be written and has room for it: TMPDIR=DIR " + k.Line.String(), nil
	case *install.UnknownFenceError:
		return k.ofUnknownFence(e), nil
	case *install.StateError:
		return ofState(e), nil
	case *install.JournalError:
		return k.ofJournal(e), nil
	case *input.FileError:
		return k.ofFile(e), nil

	// The artifact.
	case *install.RejectedError:
		return k.ofRejected(e)
	case *release.ArtifactError:
		return k.ofArtifact(e)
	case *release.OtherPlatformError:
		if e.File {
			return "leave out --platform to take the file as it is, or name the one for " + string(e.Asked), nil
		}
		return "the source serves another platform under this name", nil
	case *multiversion.OtherReleaseError:
		return "the source serves another release under this name", nil
	case *verify.DamagedError:
		return k.Findings(), nil
	case *depot.FullError:
		return "remove what this host does not need: tbctl store prune", nil
	case *output.InstalledError:
		return "write it elsewhere, and then: tbctl install FILE " + shell.File(e.Path), nil
	case *output.InputError:
		return "write it elsewhere, and then: tbctl install FILE " + shell.File(e.Path), nil
	case *output.KeptError:
		return "choose another name", nil
	case *output.DataFileError:
		return "choose another name", nil
	case *inspect.NotMultiversionError:
		return Stranger(e.Kind), e.Kind
	case *multiversion.FormatError:
		switch {
		case e.Rule == multiversion.RuleRead:
			return "", nil
		case multiversion.IsPlain(e):
			return hintPlain, e
		}
		return k.Findings(), e
	case *archive.FormatError:
		return ofArchive(e), e
	case *pack.RefusalError:
		switch {
		case e.Class() != fault.Rejected:
			return "", nil
		case e.Reason == pack.ReasonSections:
			return "take the executable out of it: tbctl extract FILE RELEASE -o OUT", nil
		}
		return "look at what goes in: tbctl inspect FILE", nil

	// What is installed, and what runs.
	case *vfs.LeaseError:
		return "find out which process it is (grep LEASE /proc/locks has its number and the file's inode) and end it, then run the same command again", nil
	case *vfs.DeniedError:
		return k.ofDenied(e), nil
	case *install.RefusedError:
		switch {
		case errors.Is(e, install.ErrNotBinary):
			return "if it really is to be replaced, move it away first: " + moveAway(e.Target), nil
		case e.Report != nil && e.Err == nil: // else the cause knows
			return k.Fit(e.Report, e.Plain), nil
		}
	case *inventory.FileError:
		if e.Others {
			return "look at it, and if it is yours, name it: --fleet " + shell.File(e.Name), nil
		}
		return "check the name: ls -l " + shell.File(e.Name), nil
	case *inventory.Error:
		return "mend " + shell.File(e.File), nil
	case *fleet.FencedError:
		return k.ofFenced(e), e.Stored
	case *state.HeldError:
		return hintHeld, nil
	case *state.LostError:
		return hintLost, nil
	case *rollout.Error:
		return ofRollout(e), nil
	case *remote.AnswerError:
		return e.Hint(), nil
	case *rollout.ObstaclesError:
		return "each of them has a line that says where, and what to do", nil
	case *rollout.PlanFileError:
		return "make one: tbctl fleet plan RELEASE -o " + shell.File(e.Name), nil
	case *fleet.NumberError:
		return "name where it was numbered: --state WHERE; or make a new one here: tbctl fleet plan RELEASE -o FILE", nil
	case *rollout.NotStoredError:
		return "bring it here first: tbctl store import " + shell.File(e.Source), nil
	case *report.UnseenError:
		return k.ofUnseen(e), nil
	case *report.NotRestartedError:
		return "each of them has a line that says what to do", nil
	case *shelf.AmbiguousError:
		return "name the one that is meant: " + k.Line.Retyped(shelf.PrefixRelease+string(e.Tag), shelf.PrefixDigest+e.Items[0].SHA256), nil
	case *shelf.MissingError:
		return "see what there is: tbctl store list", nil
	case *prune.UnknownError:
		if lines, ok := errors.AsType[*prune.LinesError](e); ok {
			return ofLines(lines), nil
		}
		return "run it as root, or find out what is there: tbctl status " + shell.File(e.Target), nil
	case *install.HearsayError:
		return "if that is the data file of its replica, name it: " + k.Line.With("--data-file", e.DataFile), nil
	case *host.UnknownReleaseError:
		return "run it as root, or say which release runs: --running RELEASE" + ignoring(" --ignore-process "+strconv.Itoa(e.Process.PID)), nil
	case *host.StillRunsError:
		if e.Unseen != "" {
			return "stop it, then run the same command again" + leaveOut([]replica.Unseen{{Kind: replica.UnseenElsewhere, PID: e.PID}}), nil
		}
		return "stop it, then run the same command again", nil
	case *host.RememberedError:
		return "run it as root, or say which release runs: --running RELEASE; if the file no longer belongs to a replica of {target}: --forget-data-file " + shell.File(e.Name), nil
	case *host.DataFileError:
		if errors.Is(e, fs.ErrNotExist) {
			return "check the name; tbctl status shows the data files of the replicas that run", nil
		}

	case *datafile.QuorumError:
		if e.Reason != datafile.ErrNoCopy { //nolint:errorlint // a reason is one of those
			return ofRunning(k, e), nil
		}
	case *datafile.VersionError:
		return ofRunning(k, e), nil

	// The place that releases come from.
	case *release.UnavailableError:
		return ofUnavailable(e), e.Evidence
	case *release.TokenError:
		return ofToken(e), nil
	case *release.RateLimitError:
		return "downloads are not limited, only the API: set GITHUB_TOKEN, or name the release instead of listing", e
	case *release.CredentialsError:
		return ofCredentials(e), nil
	case *release.SchemeError:
		return k.ofScheme(e), nil
	case *release.TransferError:
		if k.fromTUF() && errors.Is(e, release.ErrNotFound) {
			return hintTUFMissing, e
		}
		return ofNetwork(e, e.Kept), e
	case *release.HTTPError:
		if !errors.Is(e, release.ErrNotFound) {
			return ofNetwork(e, false), nil
		}
	case *tls.CertificateVerificationError, *net.OpError:
		return ofNetwork(e, false), nil
	}
	for _, entry := range slices.Concat(namedHints(), registryHints()) {
		is, ok := err.(interface{ Is(error) bool })
		switch {
		case err != entry.err && !(ok && is.Is(entry.err)): //nolint:errorlint // this error, without those in it
		case entry.ask != nil:
			return entry.ask(k, whole), nil
		default:
			return entry.hint, nil
		}
	}
	return "", nil
}

type namedHint struct {
	err  error
	hint string
	ask  func(k *Known, whole error) string // instead, where the command line or another error decides
}

// namedHints are about the errors that have but a name. An error that has several is asked for them in this order.
func namedHints() []namedHint {
	return []namedHint{
		{err: fsatomic.ErrChanged, hint: "something else changed it at the same moment: run the same command again"},
		{err: vfs.ErrRace, hint: "something else changed it at the same moment: run the same command again"},
		{err: depot.ErrExchanged, hint: "something else changed it at the same moment: run the same command again"},
		{err: verify.ErrChanged, hint: "something else changed it at the same moment: run the same command again"},

		// What is installed.
		{err: fsatomic.ErrNoOld, ask: ofNoOld},
		{err: install.ErrStateVersion, hint: "use the tbctl that wrote it, or a newer one"},
		{err: install.ErrNotExecutable, hint: "if it is the right file: chmod u+x {target}-old"},
		{err: install.ErrNotBack, hint: "this goes back: tbctl rollback {target}"},
		{err: install.ErrNothingInstalled, hint: "install what is there: tbctl install {target}-old {target}"},
		{err: fsatomic.ErrSameFile, hint: "the target and the previous file are one file: tbctl status {target}"},

		// The artifact.
		{err: release.ErrTooLarge, hint: hintTooLarge},
		{err: install.ErrTooLarge, hint: hintTooLarge},
		{err: extract.ErrArch, hint: "a universal binary holds two executables: --arch aarch64 or --arch x86_64"},
		{err: extract.ErrNotIncluded, hint: "see what it holds: tbctl inspect {file}"},
		{err: extract.ErrChecksum, hint: "this lists every finding: tbctl verify {file}"},
		{err: extract.ErrPlatform, hint: "it runs on its own platform alone; this takes it out: tbctl extract {file} RELEASE -o FILE"},

		// The place at the target.
		{err: vfs.ErrReadOnly, hint: "remount it writable (mount -o remount,rw), or install elsewhere: df {target} shows what is mounted there"},
		{err: fsatomic.ErrNoExec, hint: "nothing can be executed there: install on a file system that is not mounted noexec"},
		{err: fsatomic.ErrImmutable, hint: "chattr -i -a takes the flag away from what the message names"},
		{err: fsatomic.ErrDirNotWritable, hint: asOwner},
		{err: fsatomic.ErrSticky, hint: asOwner},
		{err: fsatomic.ErrMountPoint, hint: "something is mounted on the file itself: umount it, or change what it is mounted from"},
		{err: vfs.ErrNoSpace, ask: ofNoSpace},
		{err: syscall.EDQUOT, ask: ofNoSpace},
		{err: fsatomic.ErrNoInodes, hint: "remove some files from the target's file system"},
		{err: fsatomic.ErrOldKind, hint: "move away what stands at {target}-old"},
		{err: vfs.ErrDangling, hint: "mount what it leads to, or mend or remove the symbolic link"},
		{err: vfs.ErrProcessPath, hint: "name the file by its path on this host; or run tbctl where the process sees it: nsenter --target PID --mount tbctl …"},
		{err: vfs.ErrMagicLink, hint: "look at where the links lead (namei -l PATH), and name the file itself"},
		{err: vfs.ErrLinkOwner, hint: "name the file itself: a link that anybody may have put there is not followed"},
		{err: fsatomic.ErrOldOwner, hint: "look at who put {target}-old there, and move it away; if it is the right file, name it by what sha256sum prints: --sha256 HEX"},
		{err: fsatomic.ErrDelete, ask: ofDelete},
		{err: fsatomic.ErrRename, hint: "that file system, or a security module of this host, lets no file be renamed there: install elsewhere"},
		{err: fsatomic.ErrInode, hint: "move away the leftover that the message names"},
		{err: vfs.ErrLinkLoop, hint: "mend the symbolic links"},
		{err: vfs.ErrDirectory, hint: "name the file, not its directory: {target}/tigerbeetle"},
		{err: vfs.ErrNotRegular, hint: "name a regular file"},
		{err: vfs.ErrNoDirectory, ask: ofNoDirectory},
		{err: vfs.ErrNoCurrent, hint: hintNoCurrent},
		{err: fsatomic.ErrLockFile, ask: ofAway},
		{err: fsatomic.ErrStateKind, ask: ofAway},
		{err: fsatomic.ErrSystem, hint: "tbctl inspect and tbctl verify work here"},
		{err: install.ErrNotUTF8, hint: UTF8},

		// Many hosts.
		{err: fleet.ErrPlan, hint: "make a new one: tbctl fleet plan RELEASE -o FILE"},
		{err: fleet.ErrArtifact, hint: "do not use this plan: ask who made it, and make one yourself: tbctl fleet plan RELEASE -o FILE"},
		{err: rollout.ErrSignature, hint: "do not use this plan: ask who made it, and make one yourself: tbctl fleet plan RELEASE -o FILE"},
		{err: engine.ErrPlace, hint: "in etcd: --state etcd://HOST:2379,HOST:2379/tbctl; of this machine alone: --state files"},
		{err: remote.ErrNoSession, hint: "to see a fleet, on your own machine: tbctl fleet status HOST…"},

		// The source, and data files.
		{err: release.ErrTag, hint: "tbctl releases lists the releases; a file is named with its path, such as ./tigerbeetle"},
		{err: release.ErrPlatform, ask: ofPlatform},
		{err: release.ErrNotListable, hint: "only GitHub, directories and tbctl store serve list their releases; name the one that you want: tbctl install 0.17.8 --mirror URL"},
		{err: release.ErrOption, ask: ofOption},
		{err: release.ErrNotFound, ask: ofNotFound},
		{err: advisory.ErrList, hint: "ask the publisher, or take a newer tbctl: tbctl version"},
		{err: release.ErrUnwritten, ask: ofUnwritten},
		{err: release.ErrEndedEarly, hint: "was the connection lost, or did the command before the pipe fail? send it again"},
		{err: release.ErrRedirect, hint: hintRedirect},
		{err: release.ErrIdle, hint: hintWay},
		{err: release.ErrSlow, hint: hintSlow},
		{err: datafile.ErrNoCopy, hint: hintNoDataFile},
		{err: datafile.ErrFileKind, hint: hintNoDataFile},
		{err: datafile.ErrNoRelease, ask: ofRunning},

		// What the system says, where nothing more is known.
		{err: fs.ErrExist, hint: "choose another name, or replace it: --force"},
		{err: fs.ErrPermission, hint: asOwner},
		{err: syscall.EROFS, hint: "it is mounted read-only there: name another place"},
		{err: syscall.ENOSPC, hint: "make room, or name another place: df"},
		{err: syscall.EISDIR, hint: "that is a directory: name it as an argument, or give the file in it"},
		{err: syscall.ENOTDIR, hint: "a file is where the name goes on after a /, as if it were a directory: check the name, which has no / at its end"},
		{err: fsatomic.ErrKept, ask: ofKept},
		{err: fsatomic.ErrLongName, hint: "give it a shorter name"},
		{err: syscall.ENAMETOOLONG, hint: "the name is too long for the system: give it a shorter one"},
		{err: syscall.ELOOP, hint: "mend the symbolic links"},
		{err: syscall.ENOTCONN, hint: "a file system is mounted there whose server has ended: findmnt shows it; umount -l it, and mount it again"},
		{err: syscall.ESTALE, hint: "the server of that file system no longer knows the file: umount it, and mount it again"},
		{err: syscall.EIO, hint: "the disk, or the way to it, may be failing: look at the kernel's log (dmesg)"},
		{err: syscall.EMFILE, hint: "more files must be allowed to be open: ulimit -n 64"},
		{err: syscall.ENFILE, hint: "too many files are open on this host: sysctl fs.file-max"},
		{err: syscall.ENOMEM, hint: "this host, or the control group of the service, is out of memory"},
	}
}

// otherwise is for failures that nothing is known of but what the system says.
func (k *Known) otherwise(err error) string {
	if path, ok := errors.AsType[*fs.PathError](err); ok && errors.Is(err, fs.ErrNotExist) {
		return "check the name: ls -ld " + shell.File(filepath.Dir(path.Path))
	}
	return strings.Join(strings.Fields("tbctl "+k.Command+" --help"), " ")
}

// ofUnwritten is about a pipe into which nothing writes. A shell that opens it waits for a writer.
func ofUnwritten(k *Known, _ error) string {
	return "begin to write into it first, or wait for a writer: tbctl " + k.Command + " - < {file}"
}

func ofKept(k *Known, _ error) string {
	if name, ok := strings.CutSuffix(k.About.Target, "-old"); ok {
		return "name the target itself: tbctl install FILE " + shell.File(name) + "; or go back to what is kept: tbctl rollback " + shell.File(name)
	}
	return "name the target itself"
}

func ofNoOld(k *Known, _ error) string {
	if name, ok := strings.CutSuffix(k.About.Target, "-old"); ok {
		return "name the installed binary: tbctl rollback " + shell.File(name)
	}
	return "there is nothing to go back to: see what was done where with tbctl history; this installs another: tbctl install RELEASE {target}"
}

func ofOption(k *Known, err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "check the name; tbctl config shows which flag, variable or file says it"
	}
	return "tbctl " + k.Command + " --help-all"
}

func ofNotFound(k *Known, _ error) string {
	if k.Command == "releases" {
		return Mirror
	}
	return "check the name; tbctl releases lists what there is"
}

func ofPlatform(*Known, error) string {
	var names []string
	for _, platform := range release.Platforms() {
		names = append(names, string(platform))
	}
	return "one of --platform " + strings.Join(names, ", ")
}

// ofRunning is about a data file that does not tell its release.
func ofRunning(k *Known, _ error) string {
	if k.Command == "exec" {
		return "say which release is to run: --release RELEASE"
	}
	return "say which release runs instead: --running RELEASE"
}

// Hints that are given at several places.
const (
	UTF8           = "rename the file or directory first: history, locks and JSON documents hold names in UTF-8"
	Mirror         = "check --mirror, or TBCTL_MIRROR: tbctl config shows where it comes from"
	hintTooLarge   = "no release is that large: look at what the source sends"
	hintNoDataFile = "name a TigerBeetle data file: tbctl status shows those of the replicas that run, and tbctl inspect what a file is"
	hintNoCurrent  = "cd to a directory that is there, or name the file from /" // where the shell's directory is gone
	hintUntrusted  = "do not use this file: get it again from a source that you trust"
)
