// Package render is how a person sees the reports and what an operation did: as text, on a stream that knows its width
// and its colours. It finds nothing out and judges nothing; what comes from outside is filtered before a
// terminal sees it.
package render

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/report"
)

// timeFormat is how a person sees a time, in the host's own zone.
const timeFormat = "2006-01-02 15:04:05"

// Status shows a target and what runs from it. The command is what shows it again; failed says
// that not all of it could be looked at.
func Status(out *term.Stream, s *report.Status, command string, failed bool) {
	styles := out.Styles()
	out.Printf("%s\n\n", styles.Bold.Render(s.Target.Path))
	fields := fileFields(s, failed, "installed", s.Target.Path, s.Installed)
	if s.Target.Exists && !s.Hides(s.Target.Path) {
		fields = append(fields, [2]string{"attributes", attributesText(s.Target.Attributes)})
	}
	if len(s.Target.Links) > 0 {
		fields = append(fields, [2]string{"link", s.Target.Name})
	}
	fields = append(fields, fileFields(s, failed, "previous", s.Target.OldAt(), s.Previous)...)
	if s.Last != nil {
		fields = append(fields, [2]string{"last", fmt.Sprintf("%s, %s, %s", s.Last.Operation, s.Last.Result, s.Last.Time.Local().Format(timeFormat))})
	}
	if list := s.AdvisoryList; list.Source == advisory.SourceSigned {
		fields = append(fields, [2]string{"advisories", fmt.Sprintf("of %s, signed, from %s", term.Printable(list.Checked), term.Printable(list.Repository))})
	}
	if from := s.AdvisoryList.Rollout; from != "" {
		fields = append(fields, [2]string{"advisories", "besides, those of a rollout's plan, brought by " + term.Printable(from)})
	}
	Fields(out, slices.Concat(fields, dataFileFields(s), reachedFields(s)))
	switch holder := s.HeldBy; {
	case holder == nil:
	case holder.PID == 0:
		out.Printf("%s another process holds the lock, and did not write its name there\n", styles.Warn.Render("under way:"))
	default:
		out.Printf("%s %s\n", styles.Warn.Render("under way:"), out.Hang(fmt.Sprintf("%s, process %d on %s, since %s",
			term.Printable(holder.Command), holder.PID, term.Printable(holder.Host), holder.Start.Local().Format(timeFormat)), 2))
	}
	if fence := s.Fence; fence != nil && fence.Phase.Holds() {
		out.Printf("%s %s\n", styles.Warn.Render("rollout:"), out.Hang(rolloutText(fence, s.HolderAlive), 2))
	}
	if s.Despite != nil {
		out.Printf("%s %s\n", styles.Warn.Render("despite the rollout:"), out.Hang(despiteText(s.Despite), 2))
	}
	for _, leftover := range s.Leftovers {
		if s.HeldBy == nil {
			out.Printf("%s %s: %s; %s\n", styles.Warn.Render("leftover:"), leftover.Path, leftover.Reason, nextOf(leftover, s.Target.OldPath))
		}
	}
	if s.MoreLeft > 0 && s.HeldBy == nil {
		out.Printf("%s %d more such files\n", styles.Warn.Render("leftover:"), s.MoreLeft)
	}
	for _, open := range s.Interrupted {
		if open.Busy {
			continue
		}
		what := "interrupted:"
		if !s.LockObserved {
			what = "under way, or interrupted:"
		}
		out.Printf("%s %s since %s; on the disk: %s\n", styles.Warn.Render(what), open.Intent.Operation, open.Intent.Time.Local().Format(timeFormat), open.Found)
	}
	replicas(out, s, command)
}

// nextOf says what becomes of a leftover.
func nextOf(leftover fsatomic.Leftover, oldPath string) string {
	switch leftover.Action {
	case fsatomic.ActionKept:
		return "the next installation or rollback first makes it " + oldPath
	case fsatomic.ActionLeft:
		return "it is left there"
	}
	return "the next installation clears it away"
}

// reachedFields tell of the release that the cluster has reached, where the installed file lacks it.
func reachedFields(s *report.Status) [][2]string {
	if s.Reached == nil || s.Installed == nil || slices.Contains(s.Installed.Releases, s.Reached.Release) {
		return nil
	}
	text := fmt.Sprintf("%s (%s), which the installed file does not hold", s.Reached.Release, s.Reached)
	return [][2]string{{"reached", term.Printable(text)}}
}

// dataFileFields are the data files that are remembered, but for those of the replicas that
// run: these are in a table of their own.
func dataFileFields(s *report.Status) [][2]string {
	var fields [][2]string
	for _, file := range s.DataFiles {
		if slices.ContainsFunc(s.Replicas, func(process host.Replica) bool { return process.DataFile == file.Path }) {
			continue
		}
		text := fmt.Sprintf("%s: at release %s", term.Printable(file.Path), file.Release)
		switch {
		case file.Gone:
			text = term.Printable(file.Path) + ": gone"
		case file.Err != nil:
			text = "cannot be read: " + term.Printable(file.Problem)
		case s.Installed != nil && !slices.Contains(s.Installed.Releases, file.Release):
			text += ", which the installed file does not hold: its replica cannot be started"
		}
		fields = append(fields, [2]string{"data file", text})
	}
	return fields
}

func fileFields(s *report.Status, failed bool, name, path string, file *install.File) [][2]string {
	switch {
	case s.Hides(path) && failed:
		return [][2]string{{name, "cannot be seen"}}
	case s.Hides(path):
		return [][2]string{{name, "cannot be read by this user"}}
	}
	if file == nil {
		return [][2]string{{name, "nothing"}}
	}
	text := fileName(file) + ", " + term.Bytes(file.Size)
	if len(file.Releases) > 1 {
		text += ", with " + Releases(file.Releases[:len(file.Releases)-1])
	}
	return [][2]string{{name, text}, {"  sha256", file.SHA256}}
}

// Config shows each setting and where it comes from.
func Config(out *term.Stream, shown *report.Config) {
	var rows [][]string
	for _, line := range shown.Settings {
		if line.Problem != "" {
			line.Origin += ", and cannot be used"
		}
		rows = append(rows, []string{line.Name, term.Printable(cmp.Or(line.Value, "-")), term.Printable(line.Origin)})
	}
	out.Printf("%s", out.Table([]term.Column{{Title: "setting"}, {Title: "value"}, {Title: "from"}}, rows))
}
