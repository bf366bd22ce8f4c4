package render

import (
	"fmt"
	"time"

	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/watch"
)

// Event is an event as one line, or several.
func Event(out *term.Stream, event watch.Event) term.Block {
	if event.Kind == watch.KindBinary {
		return binaryEventText(out, event)
	}
	return out.Lines(ReplicaEvent(event))
}

// ReplicaEvent is an event of a replica as a sentence.
func ReplicaEvent(event watch.Event) string {
	switch event.Kind {
	case watch.KindPolling:
		return "looking without the kernel's help: " + event.Reason
	case watch.KindUnseen:
		return "unseen: there may be replicas that are not seen: " + event.Reason
	}
	process := event.Process
	if process == nil {
		return string(event.Kind)
	}
	who := fmt.Sprintf("replica %d", process.PID)
	if process.Replica && !process.Counts() {
		who += " of user " + process.User() + ", which does not count,"
	}
	switch event.Kind {
	case watch.KindReplicaEnded:
		return who + " ended"
	case watch.KindReplicaArmed:
		if process.Armed == nil {
			return who + " is armed with nothing"
		}
		return fmt.Sprintf("%s is armed with %s and offers %s", who, process.Armed.Current, Releases(process.Armed.Offered))
	}
	switch process.State {
	case replica.StateStarting:
		return who + " is " + startingText(process)
	case replica.StateStopped:
		return who + " is " + process.StoppedText()
	}
	if process.Running.Release == 0 {
		return who + " runs an unknown release"
	}
	return fmt.Sprintf("%s runs %s", who, process.Running.Release)
}

// startingText is what is known of a replica that starts.
func startingText(process *replica.Process) string {
	text := "starting"
	if release := process.Settles(); release != 0 {
		text += " on " + release.String() + ", the release of its data file"
	}
	if !process.StartingSince.IsZero() {
		text += ", since " + process.StartingSince.Local().Format(time.TimeOnly)
	}
	return text
}

func binaryEventText(out *term.Stream, event watch.Event) term.Block {
	style := out.Styles().Bad
	if event.Verdict == watch.VerdictAccepted {
		style = out.Styles().Good
	}
	text := "binary: " + style.Render(string(event.Verdict))
	if event.Current != 0 {
		text += " " + event.Current.String()
	}
	if event.Reason != "" {
		text += ": " + term.Printable(event.Reason)
	}
	if len(event.New) > 0 {
		text += ", releases_bundled " + Releases(event.New)
	}
	lines := []string{text}
	if event.First && len(event.Replicas) == 0 {
		lines = append(lines, "             no replica that counts is seen to run from it: what comes is told when it comes")
	}
	for _, judgement := range event.Replicas {
		text := fmt.Sprintf("             replica %d", judgement.PID)
		if judgement.Running != 0 {
			text += " at " + judgement.Running.String()
		}
		if judgement.Verdict != "" {
			text += ": " + string(judgement.Verdict)
		}
		if judgement.Reason != "" {
			text += ": " + term.Printable(judgement.Reason)
		}
		lines = append(lines, text)
	}
	return out.Lines(lines...)
}
