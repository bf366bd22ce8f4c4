package hints

import (
	"errors"
	"fmt"

	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/watch"
)

// Until is about replicas that are not as they were waited for. The target is the path of the binary that they run from.
func Until(target string, err error) string {
	status := "tbctl status " + shell.File(target)
	var cannot *replica.CannotAskError
	var unmet *watch.UntilError
	var sees *watch.NeverSeesError
	switch {
	case errors.Is(err, watch.ErrUnseen) && errors.As(err, &unmet):
		return render.LookElsewhere(unmet.Outcome.Unseen, status) + leaveOut(unmet.Outcome.Unseen)
	case errors.As(err, &unmet) && len(watch.OnlyStrangers(unmet.Outcome.Processes)) > 0:
		return Strangers(unmet.Outcome.Processes, target, unmet.Outcome.Condition.String())
	case errors.Is(err, watch.ErrHidden):
		return "run it as root, who may look into every process"
	case errors.As(err, &sees) && sees.Process.LooksAt != "":
		return fmt.Sprintf("stop process %d, and start it as %s", sees.Process.PID, shell.File(target))
	case errors.Is(err, watch.ErrNeverSees):
		return "mount the directory of the file where that replica runs, and start its container again"
	case errors.Is(err, watch.ErrNeverArms):
		return "restart that replica: it takes the file when it starts"
	case errors.As(err, &cannot):
		return "what can be seen of it: --until running"
	}
	return status + " shows each replica"
}

// Unseen is about replicas of a target that cannot be seen from here.
func Unseen(target string, unseen []replica.Unseen) string {
	return render.LookElsewhere(unseen, "tbctl status "+shell.File(target))
}

// Strangers says how to let the first replica that does not count do so, or how to leave it out, by the command that
// waits for it.
func Strangers(processes []replica.Process, target, until string) string {
	first := watch.Strangers(processes)[0]
	file := "FILE"
	if first.DataFilePath != "" {
		file = shell.File(first.DataFilePath)
	}
	return fmt.Sprintf("if that is a replica of yours, name its data file: tbctl watch %s --until %s --data-file %s; if not, leave it out: --ignore-process %d",
		shell.File(target), until, file, first.PID)
}

// leaveOut says how to leave out the processes that may not be looked into, after another hint.
func leaveOut(unseen []replica.Unseen) string {
	const flagsMax = 5
	flags := ""
	for _, each := range unseen[:min(len(unseen), flagsMax)] {
		if (each.Kind == replica.UnseenForbidden || each.Kind == replica.UnseenElsewhere) && each.PID != 0 {
			flags += fmt.Sprintf(" --ignore-process %d", each.PID)
		}
	}
	return ignoring(flags)
}

// ignoring says when processes are to be left out by these flags, after another hint; "" without any.
func ignoring(flags string) string {
	if flags == "" {
		return ""
	}
	return "; or, if that is no replica of this cluster, leave it out:" + flags
}
