package render

import (
	"fmt"
	"slices"

	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/report"
)

// Fleet shows a table for each cluster, and below it what needs a sentence.
func Fleet(out *term.Stream, result *report.Fleet) {
	for first := 0; first < len(result.Hosts); {
		last := first
		for last < len(result.Hosts) && result.Hosts[last].Cluster == result.Hosts[first].Cluster {
			last++
		}
		if first > 0 {
			out.Println()
		}
		fleetCluster(out, result.Hosts[first:last])
		first = last
	}
	for _, holder := range result.Holders {
		text := fmt.Sprintf("cluster %s: %s works on it since %s", term.Printable(holder.Cluster), term.Printable(holder.Who), holder.Since.Local().Format(timeFormat))
		if holder.Unseen {
			text += "; whether that run still lives cannot be seen from here"
		}
		out.Printf("%s\n", out.Hang(text, 2))
	}
	if result.StateProblem != "" {
		out.Printf("%s\n", out.Hang(out.Styles().Warn.Render("not known:")+" which runs of controllers work on these hosts: "+term.Printable(result.StateProblem), 2))
	}
}

// fleetColumns are the columns of [fleetRows].
var fleetColumns = [...]term.Column{
	{Title: "host"}, {Title: "replica"}, {Title: "installed"}, {Title: "running"}, {Title: "armed"}, {Title: "durable", Drop: 2},
	{Title: "view", Right: true, Drop: 3}, {Title: "rollout", Drop: 1},
}

func fleetCluster(out *term.Stream, hosts []report.FleetHost) {
	if hosts[0].Cluster != "" {
		out.Printf("%s %s\n", out.Styles().Bold.Render("cluster"), hosts[0].Cluster)
	}
	var rows [][]string
	var notes []string
	for index := range hosts {
		ofHost, noted := fleetHost(out.Styles(), &hosts[index])
		rows, notes = append(rows, ofHost...), append(notes, noted...)
	}
	out.Printf("%s", out.Table(fleetColumns[:], rows))
	for _, note := range notes {
		out.Printf("%s\n", out.Hang(note, 2))
	}
}

// fleetHost is a host as rows of the table, and what of it needs a sentence.
func fleetHost(styles term.Styles, h *report.FleetHost) (rows [][]string, notes []string) {
	note := func(label term.Style, said, text string) {
		notes = append(notes, h.Name+": "+label.Render(said)+" "+term.Printable(text))
	}
	if h.Report == nil {
		rows = [][]string{{h.Name, "-", "-", "-", "-", "-", "-", "-"}}
	}
	switch {
	case h.Problem != nil:
		said := "not asked:"
		if h.Problem.Again {
			said = "not asked, and tried again:"
		}
		note(styles.Bad, said, h.Problem.Message)
		if h.Problem.Hint != "" {
			note(styles.Accent, "hint:", h.Problem.Hint)
		}
		return rows, notes
	case h.Report == nil:
		rows[0][2] = "being asked"
		return rows, notes
	}
	for target := range h.Report.Targets {
		t := &h.Report.Targets[target]
		if h.Target != "" && h.Target != t.Path {
			continue
		}
		name := h.Name
		if h.Target == "" && len(h.Report.Targets) > 1 {
			name += " " + term.Printable(t.Path)
		}
		rows = append(rows, fleetRows(name, t)...)
		if t.Problem != "" {
			note(styles.Warn, "problem:", t.Problem)
		}
		for _, warning := range t.Warnings {
			note(styles.Warn, "warning:", warning)
		}
		if t.WayBackLost != "" {
			note(styles.Bad, "no way back:", "the file from before the rollout, sha256:"+t.WayBackLost+", is neither beside "+t.Path+" nor in its store")
			note(styles.Accent, "hint:", "bring that file into its store: tbctl store import FILE --sha256 "+t.WayBackLost+" there")
		}
		if t.Status == nil {
			continue
		}
		for _, replica := range t.Status.Replicas {
			if replica.NoAnswer != "" {
				note(styles.Warn, "does not serve:", replica.NoAnswer)
			}
		}
		if strangers := strangersOf(t.Status); strangers > 0 {
			note(styles.Warn, "not counted:", fmt.Sprintf("%d processes of users who are not known to run replicas of this binary run from it, or say so: tbctl status there shows them", strangers))
		}
		for _, replica := range t.Status.NotRestarted() {
			text, hint := t.Status.NotRestartedText(replica)
			note(styles.Bad, "not started again:", text)
			note(styles.Accent, "hint:", hint)
		}
		for _, unseen := range t.Status.Unseen {
			note(styles.Warn, "not seen:", unseen.Reason)
		}
		if despite := t.Status.Despite; despite != nil {
			note(styles.Warn, "despite the rollout:", despiteText(despite))
		}
	}
	return rows, notes
}

// FleetChanges are the lines that a host's change is told by: each row that is another one than before, and what is said of
// it besides, or is not said any more.
func FleetChanges(out *term.Stream, before, now *report.FleetHost) []string {
	oldRows, oldNotes := fleetLines(out.Styles(), before)
	rows, notes := fleetLines(out.Styles(), now)
	var lines []string
	for _, line := range rows {
		if now.Problem == nil && !slices.Contains(oldRows, line) {
			lines = append(lines, line)
		}
	}
	for _, line := range notes {
		if !slices.Contains(oldNotes, line) {
			lines = append(lines, line)
		}
	}
	for _, line := range oldNotes {
		if now.Problem == nil && before.Problem == nil && !slices.Contains(notes, line) {
			lines = append(lines, "no longer: "+line)
		}
	}
	return lines
}

// fleetLines are the rows of a host, each as a line, and what of it needs a sentence.
func fleetLines(styles term.Styles, h *report.FleetHost) (lines, notes []string) {
	rows, notes := fleetHost(styles, h)
	for _, row := range rows {
		line := row[0] + ": "
		for index, cell := range row[1:] {
			if index > 0 {
				line += ", "
			}
			line += fleetColumns[index+1].Title + " " + cell
		}
		lines = append(lines, line)
	}
	return lines, notes
}

// strangersOf is how many processes that run from a target are of users who are not known to run replicas there.
func strangersOf(s *report.Status) int {
	count := s.LeftOut
	for index := range s.Replicas {
		if r := &s.Replicas[index]; r.Stranger && !r.Counts() {
			count++
		}
	}
	return count
}

// fleetRows are the rows of one target: one for each replica that counts, and one where there is none.
func fleetRows(name string, t *report.HostTarget) [][]string {
	if t.Status == nil {
		return [][]string{{name, "-", "cannot be seen", "-", "-", "-", "-", "-"}}
	}
	installed, none := "nothing", "none"
	switch file := t.Status.Installed; {
	case file != nil && file.Release == 0:
		installed = "no release"
	case file != nil:
		installed = file.Release.String()
	case len(t.Status.Hidden) > 0 || t.Problem != "":
		installed = "cannot be seen"
	}
	if len(t.Status.Unseen) > 0 || t.Status.Skipped > 0 {
		none = "?"
	}
	rollout := "-"
	if !t.Status.StateObserved {
		rollout = "cannot be seen"
	} else if fence := t.Status.Fence; fence != nil && fence.Phase.Holds() {
		rollout = fmt.Sprintf("%d.%d %s, %s", fence.Generation, fence.Epoch, fence.Phase, term.Printable(fence.Holder.Who))
	}
	var rows [][]string
	for index := range t.Status.Replicas {
		replica := &t.Status.Replicas[index]
		if !replica.Counts() {
			continue
		}
		rows = append(rows, append([]string{name}, append(fleetReplica(installed, replica), rollout)...))
	}
	if rows == nil {
		rows = [][]string{{name, none, installed, "-", "-", "-", "-", rollout}}
	}
	return rows
}

// fleetReplica are the cells of one replica.
func fleetReplica(installed string, replica *host.Replica) []string {
	running, armed, _, durable := releasesOf(replica)
	index, view := "?", "?"
	if s := replica.Superblock; s != nil {
		index, view = fmt.Sprint(s.ReplicaIndex), fmt.Sprint(s.View)
		if s.Standby {
			index += " standby"
		}
	}
	if replica.Answer != nil {
		view = fmt.Sprint(replica.Answer.View)
	}
	return []string{index, installed, running, armed, durable, view}
}

// rolloutText says who holds a target.
func rolloutText(fence *fleet.Fence, alive bool) string {
	session := "no session of it is open"
	if alive {
		session = "its session is open"
	}
	return fmt.Sprintf("held by %s since %s (generation %d, epoch %d, %s); %s", term.Printable(fence.Holder.Who),
		fence.Holder.Since.Local().Format(timeFormat), fence.Generation, fence.Epoch, fence.Phase, session)
}

// despiteText says who changed a target that a rollout held.
func despiteText(record *install.Record) string {
	return fmt.Sprintf("%s by %s, %s", record.Operation, term.Printable(whoText(*record)), record.Time.Local().Format(timeFormat))
}
