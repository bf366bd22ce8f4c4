package hints

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/tbctl/tbctl/depot/prune"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/vfs"
)

// ofSync is about a failed fsync.
func (k *Known) ofSync(err error) string {
	if errors.Is(vfs.NoSpace(err), vfs.ErrNoSpace) {
		return ofNoSpace(k, err)
	}
	if k.makesFile() {
		return "the disk may be failing: nothing was put at the name; look at the kernel's log (dmesg)"
	}
	return "the disk may be failing; the target was not replaced: look at the kernel's log (dmesg), and at the target: tbctl verify {target}"
}

// ofJournal is about the history. Where the disk, or the way to it, is at fault the cause knows what to do.
func (k *Known) ofJournal(err *install.JournalError) string {
	another := "name another place for the history: --state-dir DIR (now " + k.StateDir() + ")"
	switch {
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ENOTCONN), errors.Is(err, syscall.ESTALE):
		return ""
	case errors.Is(vfs.NoSpace(err), vfs.ErrNoSpace):
		return "make room in its file system (df " + k.StateDir() + "), or " + another
	case errors.Is(err, vfs.ErrReadOnly), errors.Is(err, syscall.EROFS):
		return "its file system is mounted read-only: " + another
	case errors.Is(err, fs.ErrPermission):
		return "run it as root, or " + another
	}
	return another
}

// ofUnsure is about an ordinary file that may be at its name.
func (k *Known) ofUnsure(err *durable.UnsureError) string {
	if k.makesFile() {
		return "look whether it is there: ls -l " + shell.File(err.Path) + "; or write it again, with --force"
	}
	return "run the same command again"
}

// ofPlan is about all that hinders an installation in that place. Its attributes come after the place.
func (k *Known) ofPlan(plan *install.PlanError) string {
	var hints []string
	for _, problem := range plan.Problems {
		if class := fault.Of(problem); class == plan.Class() || class != fault.Refused {
			if hint, _ := k.Explain(problem, fault.None); hint != "" && !slices.Contains(hints, hint) {
				hints = append(hints, hint)
			}
		}
	}
	return strings.Join(hints, "; ")
}

// ofAttribute is about an attribute that cannot be set. A rollback puts the file itself back, which keeps its
// owner or gets that of the installed one; a copy can get another.
func (k *Known) ofAttribute(err *fsatomic.AttributeError) string {
	if mode, ok := errors.AsType[*fsatomic.ModeError](err); ok {
		return k.ofMode(mode)
	}
	if !errors.Is(err, fsatomic.ErrOwner) {
		return "run it as root on a file system that stores the attribute; or take the attribute from the installed file first (setcap -r, setfattr -x, setfacl -b)"
	}
	owner, root := "--owner USER[:GROUP]", "run it as root, or "
	switch {
	case errors.Is(err, fsatomic.ErrUnmapped):
		owner, root = "--owner USER:GROUP of this container", ""
	case os.Geteuid() == 0:
		root = "run it outside of this container, whose root may not do that, or "
	}
	if k.Command == "rollback" {
		return root + "put a copy of it back, which may have another owner: tbctl install {target}-old {target} --allow-downgrade " + owner
	}
	return root + "say " + owner
}

// ofDenied is about a file that the user of a replica may not execute.
func (k *Known) ofDenied(err *vfs.DeniedError) string {
	switch {
	case err.Right == vfs.RightSearch:
		return "let that user pass: chmod " + err.Needs().String() + " " + shell.File(err.Of.Path)
	case err.Of.ACL != nil:
		return "let that user read and execute it: setfacl -m u:" + strconv.Itoa(err.User.UID) + ":rx {target}"
	case k.Command == "install":
		return "give it a mode with which that user may read and execute it: --mode " + err.Needs().String() + "; if it is installed already: chmod " + err.Needs().String() + " {target}"
	}
	return "let that user read and execute it, and do it again: chmod " + err.Needs().String() + " {target}"
}

// ofMode is about a mode that a file system does not keep. A replica needs no more than that its owner may
// execute the file.
func (k *Known) ofMode(err *fsatomic.ModeError) string {
	switch {
	case err.Got&0o100 == 0:
		return "that file system lets no file be executed by its owner: install on another one"
	case k.Command == "rollback":
		return "put a copy of it back, with a mode that the file system keeps: tbctl install {target}-old {target} --allow-downgrade --mode " + err.Got.String()
	}
	return "that file system keeps " + err.Got.String() + ", with which a replica can be started too: --mode " + err.Got.String()
}

// ofStill is about a process that has a lock, and does nothing.
func ofStill(still *replica.Still) string {
	kill := fmt.Sprintf("kill -9 %d", still.PID)
	text := fmt.Sprintf("waiting does not help: process %d, which has it, is ", still.PID)
	switch {
	case still.Thaws:
		return text + fmt.Sprintf("frozen with its control group; end it: %s; echo THAWED >%s", kill, shell.File(still.Group+"/freezer.state"))
	case still.Group != "":
		return text + fmt.Sprintf("frozen with its control group, %s; end it: %s", still.Group, kill)
	case still.Traced:
		return text + "stopped by a debugger; end it: " + kill
	}
	return text + fmt.Sprintf("stopped by a signal; let it go on: kill -CONT %d; or end it: %s", still.PID, kill)
}

// ofState is about what is beside the target and not a state. What else is wrong has a hint of its own.
func ofState(err *install.StateError) string {
	var system syscall.Errno
	var sync *durable.SyncError
	if errors.As(err, &system) || errors.As(err, &sync) || errors.Is(err, install.ErrStateVersion) || errors.Is(err, vfs.ErrNoSpace) || errors.Is(err, fsatomic.ErrChanged) {
		return ""
	}
	return "move away what stands there, and run the same command again: " + moveAway(err.Path)
}

// ofLines is about lines of a history that are no records.
func ofLines(err *prune.LinesError) string {
	file := shell.File(err.Path)
	look := "see which targets there are: tbctl history; and what those lines were: "
	if err.More || slices.Contains(err.Numbers, 0) {
		return look + "grep -nv '^{.*}$' " + file + "; if they are about none of another target, take them out: sed -i '/^{.*}$/!d' " + file
	}
	var shown, gone []string
	for _, number := range err.Numbers {
		shown, gone = append(shown, strconv.Itoa(number)+"p"), append(gone, strconv.Itoa(number)+"d")
	}
	return look + "sed -n '" + strings.Join(shown, ";") + "' " + file + "; if they are about none of another target, take them out: sed -i '" + strings.Join(gone, ";") + "' " + file
}

// ofDelete is about a file system on which nothing can be deleted.
func ofDelete(_ *Known, err error) string {
	hint := "that file system, or a security module of this host, lets no file be deleted there: install elsewhere"
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		hint += "; the file is empty, and may go when that is allowed: rm " + shell.File(path.Path)
	}
	return hint
}

// ofAway is about what stands at a name of tbctl's own.
func ofAway(_ *Known, err error) string {
	hint := "move away what stands there, and run the same command again"
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		hint += ": " + moveAway(path.Path)
	}
	return hint
}

// moveAway is the command that does so, and keeps it.
func moveAway(path string) string { return "mv " + shell.File(path) + " " + shell.File(path+".away") }

func ofNoSpace(_ *Known, err error) string {
	if space, ok := errors.AsType[*vfs.SpaceError](err); ok && space.Kept > 0 {
		return "remove what this host does not need: tbctl store prune; or make room in that file system (df)"
	}
	if errors.Is(err, syscall.EDQUOT) {
		return "the quota of its owner there is used up: quota -s shows it; make room, have it raised, or name another place"
	}
	return "make room in that file system (df), or name another place; the new file is beside the old one until it takes its place"
}

func ofNoDirectory(k *Known, _ error) string {
	if k.Command != "install" && !k.makesFile() {
		return "check the name"
	}
	if strings.HasSuffix(k.About.Target, "/") {
		return "make the directory first, and name the file in it: {target}/tigerbeetle"
	}
	return "make the directory first: mkdir -p \"$(dirname {target})\""
}
