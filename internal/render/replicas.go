package render

import (
	"fmt"
	"slices"

	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/report"
)

// LookElsewhere says where what is not seen from here can be seen.
func LookElsewhere(unseen []replica.Unseen, command string) string {
	is := func(kind replica.UnseenKind) bool {
		return slices.ContainsFunc(unseen, func(each replica.Unseen) bool { return each.Kind == kind })
	}
	switch {
	case is(replica.UnseenNamespace):
		return "look from outside of the container, as root: sudo " + command
	case is(replica.UnseenHidden), is(replica.UnseenForbidden), is(host.UnseenDataFile):
		return "look as root, who sees every process: sudo " + command
	case is(replica.UnseenNoProc):
		return "look where /proc is mounted: " + command
	case is(replica.UnseenElsewhere):
		return "name the path that such a process runs from as the target"
	case is(replica.UnseenNoAnswer):
		return "look again when it answers: " + command
	}
	return ""
}

// claimsShown is how many processes are shown that only call themselves like the target.
const claimsShown = 5

// replicas shows the processes, and says what of them could not be seen.
func replicas(out *term.Stream, s *report.Status, command string) {
	var processes, claims []*host.Replica
	for index := range s.Replicas {
		if s.Replicas[index].Origin == replica.OriginClaimed {
			claims = append(claims, &s.Replicas[index])
		} else {
			processes = append(processes, &s.Replicas[index])
		}
	}
	out.Println()
	if len(processes) > 0 {
		showProcesses(out, processes)
	}
	for _, claim := range claims[:min(len(claims), claimsShown)] {
		out.Printf("%s\n", out.Hang(term.Printable(host.Says(&claim.Process)), 2))
	}
	if more := len(claims) - claimsShown; more > 0 {
		out.Printf("%d more processes do so.\n", more)
	}
	if s.LeftOut > 0 {
		out.Printf("%s.\n", out.Hang(host.LeftOutText(s.LeftOut), 2))
	}
	if s.Skipped > 0 {
		out.Printf("%s.\n", out.Hang(host.SkippedText(s.Skipped), 2))
	}
	switch {
	case len(s.Unseen) > 0:
		title := "Running replicas cannot be seen from here:"
		if len(processes) > 0 {
			title = "There may be others, which cannot be seen from here:"
		}
		out.Printf("%s\n", title)
		for _, unseen := range s.Unseen {
			out.Printf("  %s\n", out.Hang(term.Printable(unseen.Reason), 2))
		}
		if next := LookElsewhere(s.Unseen, command); next != "" {
			out.Printf("%s\n", out.Hang("To see them, "+next, 2))
		}
	case len(processes) > 0:
	case s.ByName:
		out.Printf("No process of this user runs from this binary, and of the others none says that it does.\n")
		out.Printf("To see what they execute, look as root: sudo %s\n", command)
	case s.Skipped > 0:
		out.Printf("No other process runs from this binary.\n")
	default:
		out.Printf("No process runs from this binary.\n")
	}
}

func showProcesses(out *term.Stream, processes []*host.Replica) {
	var rows [][]string
	for _, process := range processes {
		running, armed, offers, durable := releasesOf(process)
		what := term.Printable(process.Subcommand)
		if process.Replica {
			what = "replica"
		}
		rows = append(rows, []string{fmt.Sprint(process.PID), what, running, armed, offers, durable, term.Printable(process.DataFile)})
	}
	out.Printf("%s", out.Table([]term.Column{
		{Title: "pid", Right: true}, {Title: "what", Drop: 3}, {Title: "running"}, {Title: "armed"}, {Title: "offers", Drop: 2}, {Title: "durable"},
		{Title: "data file", Drop: 1},
	}, rows))
	out.Println()
	for _, process := range processes {
		who := fmt.Sprint(process.PID)
		if process.Stranger {
			who = process.Who()
		}
		if process.Outlook != "" {
			out.Printf("%s: %s\n", who, out.Hang(term.Printable(process.Outlook), 2))
			if process.Replica && !process.Counts() {
				out.Printf("  %s\n", out.Hang("watch --until and install --wait-armed do not count it: its user is not known to run replicas of this binary; --data-file FILE makes him so", 2))
			}
		} else if text := host.Unreadable(&process.Process); text != "" {
			out.Printf("%s:%s\n", who, term.Printable(text))
		}
		if process.NoAnswer != "" {
			out.Printf("  %s\n", out.Hang("it does not serve: "+term.Printable(process.NoAnswer), 2))
		}
	}
}

// releasesOf are the releases that a table has of a process.
func releasesOf(process *host.Replica) (running, armed, offers, durable string) {
	running, armed, offers, durable = "?", "-", "-", "-"
	if process.Armed != nil && process.State != replica.StateStarting {
		armed, offers = process.Armed.Current.String(), process.Armed.Newest().String()
	}
	if process.Superblock != nil {
		durable = process.Superblock.Release.String()
	}
	switch {
	case process.State == replica.StateStopped && process.Frozen:
		running = "frozen"
	case process.State == replica.StateStarting, process.State == replica.StateStopped:
		running = string(process.State)
	case process.Running.Release != 0:
		running = process.Running.Release.String()
	}
	return running, armed, offers, durable
}
