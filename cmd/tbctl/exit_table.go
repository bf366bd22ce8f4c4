package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

// entryUnknown are failures at or after the swap, and every failed fsync.
func entryUnknown(a *app, err error) (exitCode, string, any, bool) {
	var unknown *durable.UnknownStateError
	var failed *durable.SyncError
	var readBack *install.ReadBackError
	switch {
	case errors.As(err, &unknown) && a.makesFile():
		return exitUnknown, "look whether it is there, and whole: tbctl verify " + shellWord(unknown.Path) + "; or write it again, with --force", nil, true
	case errors.As(err, &unknown):
		return exitUnknown, "find out what is on the disk: tbctl status " + shellWord(unknown.Path), nil, true
	case errors.As(err, &readBack):
		return exitUnknown, "find out what is on the disk: tbctl verify " + shellWord(readBack.Target), nil, true
	case errors.As(err, &failed) && a.makesFile():
		hint := "the disk may be failing: nothing was put at the name"
		if failed.Swapped {
			hint = "the file is in place but may be gone after a power cut: sync, or write it again, with --force"
		}
		return exitUnknown, hint, nil, true
	case errors.As(err, &failed):
		hint := "the disk may be failing; the target was not replaced: tbctl verify {target} tells"
		if failed.Swapped {
			hint = "the new file is in place but may be gone after a power cut: sync, then tbctl status {target}"
		}
		return exitUnknown, hint, nil, true
	}
	return 0, "", nil, false
}

// makesFile reports whether the command writes an ordinary file, which is no target.
func (a *app) makesFile() bool {
	return slices.Contains([]string{"download", "extract", "pack"}, a.command)
}

// entryBusy are those where somebody else is at the target.
func entryBusy(_ *app, err error) (exitCode, string, any, bool) {
	var busy *durable.BusyError
	switch {
	case errors.As(err, &busy):
		return exitBusy, "wait for it: --wait 1m", busy.Holder, true
	case errors.Is(err, fsatomic.ErrChanged), errors.Is(err, vfs.ErrRace), errors.Is(err, verify.ErrChanged):
		return exitBusy, "something else changed it at the same moment: run the same command again", nil, true
	}
	return 0, "", nil, false
}

// entryRejected are those about the artifact.
func entryRejected(a *app, err error) (exitCode, string, any, bool) {
	var rejected *install.RejectedError
	var stranger *inspect.NotMultiversionError
	var format *multiversion.FormatError
	var zip *archive.FormatError
	var kind *release.KindError
	var trust *release.TrustError
	switch {
	case errors.As(err, &trust):
		if trust.Failed() {
			return exitRejected, "do not use this file: get it again from a source that you trust", trust.Evidence, true
		}
		if trust.Require == release.RequireSignature {
			return exitRejected, "the signature belongs beside the asset, as ASSET.minisig: minisign -S -m ASSET makes it", trust.Evidence, true
		}
		if trust.Require == release.RequireNothing {
			return exitRejected, "give what vouches for it, --sha256 HEX or --public-key KEY; --github-digest=false does without GitHub's digest", trust.Evidence, true
		}
		return exitRejected, "give what vouches for it: --sha256 HEX, --public-key KEY, or a mirror with SHA256SUMS", trust.Evidence, true
	case errors.As(err, &kind):
		return exitRejected, hintKind(kind), nil, true
	case errors.As(err, &stranger):
		return exitRejected, hintStranger(stranger.Kind), stranger.Kind, true
	case errors.As(err, &format) && multiversion.IsPlain(err):
		return exitRejected, hintPlain, format, true
	case errors.As(err, &format) && !errors.Is(err, multiversion.RuleRead):
		return exitRejected, a.hintFindings(), format, true
	case errors.As(err, &zip):
		return exitRejected, hintArchive(zip), zip, true
	case errors.Is(err, release.ErrTooLarge), errors.Is(err, install.ErrTooLarge):
		return exitRejected, "no release is that large: look at what the source sends", nil, true
	case errors.As(err, &rejected) && errors.Is(err, install.ErrOtherOld):
		return exitRejected, "look at who changed it: ls -l {target}-old; if it is the right file, name it: --sha256 " + rejected.Report.SHA256, nil, true
	case errors.As(err, &rejected) && errors.Is(err, install.ErrUnvouched):
		return exitRejected, "compare it with the sha256 that the file was known by (tbctl history {target} --json, or that of its release); if it is the right file, name it: " + a.typedWith("--sha256", rejected.Report.SHA256), nil, true
	case errors.As(err, &rejected) && rejected.Expected:
		return exitRejected, "the source serves another release under this name", nil, true
	case errors.As(err, &rejected) && rejected.Kind.Name != "" && rejected.Kind.Name != inspect.NameDamaged:
		if a.command == "rollback" {
			return exitRejected, "only multiversion binaries are put back; by hand, with the replicas stopped: cp {target}-old {target}.back && chown --reference={target} {target}.back && mv {target}.back {target}, and its capabilities: getcap, setcap", rejected.Kind, true
		}
		return exitRejected, hintStranger(rejected.Kind), rejected.Kind, true
	case errors.As(err, &rejected):
		return exitRejected, a.hintFindings(), nil, true
	}
	return 0, "", nil, false
}

// entryHost are those about the replicas and data files of this host.
func entryHost(_ *app, err error) (exitCode, string, any, bool) {
	var unknown *host.UnknownReleaseError
	var runs *host.StillRunsError
	var dataFile *host.DataFileError
	var remembered *host.RememberedError
	switch {
	case errors.As(err, &unknown):
		return exitRefused, "run it as root, or say which release runs: --running RELEASE", nil, true
	case errors.As(err, &runs):
		return exitRefused, "stop it, then run the same command again", nil, true
	case errors.As(err, &remembered):
		return exitRefused, "run it as root, or say which release runs: --running RELEASE; if the file no longer belongs to a replica of {target}: --forget-data-file " + shellWord(remembered.Name), nil, true
	case errors.As(err, &dataFile) && errors.Is(err, fs.ErrNotExist):
		return exitFailed, "check the name; tbctl status shows the data files of the replicas that run", nil, true
	}
	return 0, "", nil, false
}

// entryRefused are those about what is installed, running or given.
func entryRefused(a *app, err error) (exitCode, string, any, bool) {
	var refused *install.RefusedError
	var hearsay *install.HearsayError
	switch {
	case errors.Is(err, fsatomic.ErrNoOld):
		if name, ok := strings.CutSuffix(a.about.target, "-old"); ok {
			return exitRefused, "name the installed binary: tbctl rollback " + shellWord(name), nil, true
		}
		return exitRefused, "there is nothing to go back to: see what was done where with tbctl history; this installs another: tbctl install RELEASE {target}", nil, true
	case errors.As(err, &hearsay):
		return exitRefused, "if that is the data file of its replica, name it: " + a.typedWith("--data-file", hearsay.DataFile), nil, true
	case errors.Is(err, install.ErrStateVersion):
		return exitRefused, "use the tbctl that wrote it, or a newer one", nil, true
	case errors.Is(err, install.ErrNotExecutable):
		return exitRefused, "if it is the right file: chmod u+x {target}-old", nil, true
	case errors.Is(err, install.ErrNotBack):
		return exitRefused, "this goes back: tbctl rollback {target}", nil, true
	case errors.Is(err, install.ErrNothingInstalled):
		return exitRefused, "install what is there: tbctl install {target}-old {target}", nil, true
	case errors.Is(err, install.ErrNotBinary) && errors.As(err, &refused):
		return exitRefused, "if it really is to be replaced, move it away first: " + moveAway(refused.Target), nil, true
	case errors.As(err, &refused):
		hint := ""
		if refused.Report != nil {
			hint = a.hintFit(refused.Report, refused.Plain)
		}
		return exitRefused, hint, nil, true
	case errors.Is(err, fsatomic.ErrSameFile):
		return exitRefused, "the target and the previous file are one file: tbctl status {target}", nil, true
	}
	return 0, "", nil, false
}

// entryScratch is about the place for temporary files.
func entryScratch(a *app, err error) (exitCode, string, any, bool) {
	var scratch *durable.ScratchError
	if !errors.As(err, &scratch) {
		return 0, "", nil, false
	}
	hint := "it is kept in a temporary file for a moment: name a directory that can be written and has room for it: TMPDIR=DIR " + typed(a.line)
	if errors.Is(err, syscall.EFBIG) {
		hint = "this process may not write files of that size: ulimit -f unlimited"
	}
	return exitFailed, hint, nil, true
}

// planHints are what to do about each problem that a plan finds.
var planHints = []struct {
	problem error
	hint    string
}{
	{vfs.ErrReadOnly, "remount it writable (mount -o remount,rw), or install elsewhere: df {target} shows what is mounted there"},
	{fsatomic.ErrNoExec, "nothing can be executed there: install on a file system that is not mounted noexec"},
	{fsatomic.ErrImmutable, "chattr -i -a takes the flag away from what the message names"},
	{fsatomic.ErrDirNotWritable, "run it as root or as the directory's owner: sudo tbctl …"},
	{fsatomic.ErrSticky, "run it as root or as the file's owner: sudo tbctl …"},
	{fsatomic.ErrMountPoint, "something is mounted on the file itself: umount it, or change what it is mounted from"},
	{syscall.EDQUOT, "the quota of its owner there is used up: quota -s shows it; make room, have it raised, or name another place"},
	{vfs.ErrNoSpace, "make room in that file system (df), or name another place; a new file stands beside the old one until it takes its place"},
	{fsatomic.ErrNoInodes, "remove some files from the target's file system"},
	{fsatomic.ErrOwner, "run it as root, or say --owner USER[:GROUP]"}, // see hintOwner
	{fsatomic.ErrAttribute, "run it as root on a file system that stores the attribute; or take the attribute from the installed file first (setcap -r, setfattr -x, setfacl -b)"},
	{fsatomic.ErrOldKind, "move away what stands at {target}-old"},
	{vfs.ErrDangling, "mend or remove the symbolic link"},
	{vfs.ErrLinkOwner, "name the file itself: a link that anybody may have put there is not followed"},
	{fsatomic.ErrOldOwner, "look at who put {target}-old there, and move it away; if it is the right file, name it by what sha256sum prints: --sha256 HEX"},
	{fsatomic.ErrInode, "move away the leftover that the message names"},
	{vfs.ErrLinkLoop, "mend the symbolic links"},
	{vfs.ErrDirectory, "name the file, not its directory: {target}/tigerbeetle"},
	{vfs.ErrNotRegular, "name a regular file, or a place where nothing is"},
	{vfs.ErrNoDirectory, "make the directory first: mkdir -p \"$(dirname {target})\""},
	{vfs.ErrNoCurrent, hintNoCurrent},
	{fsatomic.ErrLockFile, hintAway},
	{fsatomic.ErrStateKind, hintAway},
}

// hintAway is about what stands at a name of tbctl's own.
const hintAway = "move away what stands there, and run the same command again"

// hintAwayFrom is hintAway with the command, for a problem whose error names the place.
func hintAwayFrom(err, problem error) string {
	var plan *install.PlanError
	problems := []error{err}
	if errors.As(err, &plan) {
		problems = plan.Problems
	}
	for _, each := range problems {
		var path *fs.PathError
		if errors.Is(each, problem) && errors.As(each, &path) {
			return hintAway + ": " + moveAway(path.Path)
		}
	}
	return hintAway
}

// moveAway is the command that does so, and keeps it.
func moveAway(path string) string { return "mv " + shellWord(path) + " " + shellWord(path+".away") }

// entryPlan are the problems of the place, found before anything was fetched.
func entryPlan(a *app, err error) (exitCode, string, any, bool) {
	code := exitFailed
	if onlyAttributes(err) {
		code = exitRefused
	}
	var hints []string
	for _, entry := range planHints {
		if code == exitFailed && (entry.problem == fsatomic.ErrOwner || entry.problem == fsatomic.ErrAttribute) {
			continue // the place comes first
		}
		if !errors.Is(err, entry.problem) || entry.problem == fsatomic.ErrAttribute && errors.Is(err, fsatomic.ErrOwner) ||
			entry.problem == vfs.ErrNoSpace && errors.Is(err, syscall.EDQUOT) {
			continue
		}
		hint := entry.hint
		switch {
		case entry.problem == vfs.ErrNoDirectory && !a.writes():
			hint = "check the name"
		case entry.problem == fsatomic.ErrOwner:
			hint = a.hintOwner(err)
		case hint == hintAway:
			hint = hintAwayFrom(err, entry.problem)
		}
		hints = append(hints, hint)
	}
	if len(hints) == 0 {
		return 0, "", nil, false
	}
	return code, strings.Join(hints, "; "), nil, true
}

// hintOwner is about an owner that cannot be set. A rollback puts the file itself back, which
// keeps its owner or gets that of the installed one; a copy can get another.
func (a *app) hintOwner(err error) string {
	owner := "--owner USER[:GROUP]"
	root := "run it as root, or "
	switch {
	case errors.Is(err, fsatomic.ErrUnmapped):
		owner, root = "--owner USER:GROUP of this container", ""
	case os.Geteuid() == 0:
		root = "run it outside of this container, whose root may not do that, or "
	}
	if a.command == "rollback" {
		return root + "put a copy of it back, which may have another owner: tbctl install {target}-old {target} --allow-downgrade " + owner
	}
	return root + "say " + owner
}

// writes reports whether the command makes a file at its target.
func (a *app) writes() bool {
	return a.command == "install" || a.makesFile()
}

// onlyAttributes reports whether nothing but attributes hinders an installation.
func onlyAttributes(err error) bool {
	var plan *install.PlanError
	if !errors.As(err, &plan) {
		return errors.Is(err, fsatomic.ErrAttribute)
	}
	for _, problem := range plan.Problems {
		if !errors.Is(problem, fsatomic.ErrAttribute) {
			return false
		}
	}
	return true
}

// entrySource are those of the place that releases come from.
func entrySource(a *app, err error) (exitCode, string, any, bool) {
	var limit *release.RateLimitError
	var transfer *release.TransferError
	switch {
	case errors.Is(err, release.ErrTag):
		return exitUsage, "tbctl releases lists the releases; a file is named with its path, such as ./tigerbeetle", nil, true
	case errors.Is(err, release.ErrPlatform):
		return exitUsage, "one of --platform " + strings.Join(texts(release.Platforms()), ", "), nil, true
	case errors.Is(err, release.ErrNotListable):
		return exitUsage, "only GitHub and directories list their releases; name the one that you want: tbctl install 0.17.8 --mirror URL", nil, true
	case errors.Is(err, release.ErrOption) && errors.Is(err, fs.ErrNotExist):
		return exitUsage, "check the name; tbctl config shows which flag, variable or file says it", nil, true
	case errors.Is(err, release.ErrOption):
		return exitUsage, "tbctl " + a.command + " --help", nil, true
	case errors.As(err, &limit):
		return exitFailed, "downloads are not limited, only the API: set GITHUB_TOKEN, or name the release instead of listing", limit, true
	case errors.As(err, &transfer):
		return exitFailed, hintNetwork(transfer, transfer.Kept), transfer, true
	case errors.Is(err, release.ErrNotFound) && a.command == "releases":
		return exitFailed, "check --mirror, or TBCTL_MIRROR: tbctl config shows where it comes from", nil, true
	case errors.Is(err, release.ErrNotFound):
		return exitFailed, "check the name; tbctl releases lists what there is", nil, true
	case fromNetwork(err):
		return exitFailed, hintNetwork(err, false), nil, true
	}
	return 0, "", nil, false
}

// entryOther are the rest that have a hint.
func entryOther(a *app, err error) (exitCode, string, any, bool) {
	var journal *install.JournalError
	var state *install.StateError
	var quorum *datafile.QuorumError
	switch {
	case errors.Is(err, install.ErrNotSupported):
		return exitFailed, "tbctl inspect and tbctl verify work here", nil, true
	case errors.Is(err, install.ErrNotUTF8):
		return exitUsage, hintUTF8, nil, true
	case errors.As(err, &journal) && (a.command == "history" || a.command == "status"):
		return exitFailed, fmt.Sprintf("run it as root, or name a history that may be read: --state-dir DIR (now %s)", a.stateDir()), nil, true
	case errors.As(err, &state):
		return exitFailed, "move away what stands there, and run the same command again: mv " + shellWord(state.Path) + " " + shellWord(state.Path+".away"), nil, true
	case errors.As(err, &quorum) && errors.Is(err, datafile.ErrNoCopy), errors.Is(err, datafile.ErrFileKind):
		return exitRefused, "name a TigerBeetle data file: tbctl status shows those of the replicas that run, and tbctl inspect what a file is", nil, true
	case errors.Is(err, datafile.ErrDevelopment), errors.As(err, &quorum):
		if a.command == "exec" {
			return exitRefused, "say which release is to run: --release RELEASE", nil, true
		}
		return exitRefused, "say which release runs instead: --running RELEASE", nil, true
	case errors.Is(err, fs.ErrExist):
		return exitFailed, "choose another name, or replace it: --force", nil, true
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EPERM):
		return exitFailed, "run it as root or as the owner of the file", nil, true
	}
	for _, entry := range systemHints {
		if errors.Is(err, entry.errno) {
			return exitFailed, entry.hint, nil, true
		}
	}
	return 0, "", nil, false
}

// hintNoCurrent is about a relative name where the shell's directory is gone.
const hintNoCurrent = "cd to a directory that is there, or name the file from /"

// systemHints are what to do about what the system says, where nobody knows better.
var systemHints = []struct {
	errno syscall.Errno
	hint  string
}{
	{syscall.EROFS, "it is mounted read-only there: name another place"},
	{syscall.ENOSPC, "make room, or name another place: df"},
	{syscall.ENOTDIR, "what the name has before its last / is a file, not a directory: check the name"},
	{syscall.ENAMETOOLONG, "the name is too long for the system: give it a shorter one"},
	{syscall.ELOOP, "mend the symbolic links"},
	{syscall.EIO, "the disk, or the way to it, may be failing: look at the kernel's log (dmesg)"},
	{syscall.EMFILE, "more files must be allowed to be open: ulimit -n 64"},
	{syscall.ENFILE, "too many files are open on this host: sysctl fs.file-max"},
	{syscall.ENOMEM, "this host, or the control group of the service, is out of memory"},
}

// texts are values as texts.
func texts[T ~string](values []T) []string {
	var list []string
	for _, value := range values {
		list = append(list, string(value))
	}
	return list
}
