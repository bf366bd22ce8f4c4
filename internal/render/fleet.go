package render

import (
	"fmt"

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
}

func fleetCluster(out *term.Stream, hosts []report.FleetHost) {
	styles := out.Styles()
	if hosts[0].Cluster != "" {
		out.Printf("%s %s\n", styles.Bold.Render("cluster"), hosts[0].Cluster)
	}
	columns := []term.Column{
		{Title: "host"}, {Title: "replica"}, {Title: "installed"}, {Title: "running"}, {Title: "armed"}, {Title: "durable", Drop: 2},
		{Title: "view", Right: true, Drop: 3}, {Title: "rollout", Drop: 1},
	}
	var rows [][]string
	var notes []term.Block
	note := func(name, label, text string) {
		notes = append(notes, out.Hang(name+": "+label+" "+term.Printable(text), 2))
	}
	for index := range hosts {
		h := &hosts[index]
		if h.Problem != nil {
			rows = append(rows, []string{h.Name, "-", "-", "-", "-", "-", "-", "-"})
			note(h.Name, styles.Bad.Render("not asked:"), h.Problem.Message)
			if h.Problem.Hint != "" {
				note(h.Name, styles.Accent.Render("hint:"), h.Problem.Hint)
			}
			continue
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
				note(h.Name, styles.Warn.Render("problem:"), t.Problem)
			}
			for _, warning := range t.Warnings {
				note(h.Name, styles.Warn.Render("warning:"), warning)
			}
			if t.Status == nil {
				continue
			}
			for _, replica := range t.Status.Replicas {
				if replica.NoAnswer != "" {
					note(h.Name, styles.Warn.Render("does not serve:"), replica.NoAnswer)
				}
			}
			for _, unseen := range t.Status.Unseen {
				note(h.Name, styles.Warn.Render("not seen:"), unseen.Reason)
			}
			if despite := t.Status.Despite; despite != nil {
				note(h.Name, styles.Warn.Render("despite the rollout:"), despiteText(despite))
			}
		}
	}
	out.Printf("%s", out.Table(columns, rows))
	for _, block := range notes {
		out.Printf("%s\n", block)
	}
}

// fleetRows are the rows of one target: one for each replica, and one where there is none.
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
	if fence := t.Status.Fence; fence != nil && fence.Phase.Holds() {
		rollout = fmt.Sprintf("%d.%d %s, %s", fence.Generation, fence.Epoch, fence.Phase, term.Printable(fence.Holder.Who))
	}
	var rows [][]string
	for index := range t.Status.Replicas {
		replica := &t.Status.Replicas[index]
		if !replica.Replica {
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
