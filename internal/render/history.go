package render

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
)

// History shows the newest operations as a table, at most so many unless last is 0. The
// target is the one that was asked for, or empty.
func History(out *term.Stream, result *report.History, target string, last int) {
	outcomes := slices.DeleteFunc(result.Merged(), func(r install.Record) bool { // what is open is told below
		return r.Phase == install.PhaseIntent && r.Operation != install.OperationRestart
	})
	if len(outcomes) == 0 && len(result.Interrupted) == 0 {
		if target != "" {
			out.Printf("nothing about %s in %s; all there is: tbctl history\n", term.Printable(target), result.Journal)
			return
		}
		out.Printf("nothing in %s\n", result.Journal)
		return
	}
	if last > 0 && len(outcomes) > last {
		outcomes = outcomes[len(outcomes)-last:]
	}
	var rows [][]string
	for _, record := range outcomes {
		rows = append(rows, []string{
			record.Time.Local().Format(timeFormat), string(record.Operation), resultText(out, record.Result),
			changeText(record), whoText(record), term.Printable(record.Target), sourceText(record.Source),
			(time.Duration(record.DurationMS) * time.Millisecond).String(),
		})
	}
	columns := []term.Column{
		{Title: "time"}, {Title: "what"}, {Title: "result"}, {Title: "release"}, {Title: "who", Drop: 2}, {Title: "target"},
		{Title: "from", Drop: 3}, {Title: "took", Drop: 4, Right: true},
	}
	if target, one := oneTarget(outcomes); one && out.Terminal() { // said once, there is room for the rest
		out.Printf("%s\n\n", out.Styles().Bold.Render(term.Printable(target)))
		const place = 5
		columns = slices.Delete(columns, place, place+1)
		for index := range rows {
			rows[index] = slices.Delete(rows[index], place, place+1)
		}
	}
	out.Printf("%s", out.Table(columns, rows))
	remarks(out, outcomes)
	for _, open := range result.Interrupted {
		state := "interrupted; found on the disk: " + string(open.Found)
		if open.Busy {
			state = "under way, or interrupted and locked by another tbctl"
		}
		out.Printf("%s %s of %s since %s: %s\n", out.Styles().Warn.Render("open:"), open.Intent.Operation, open.Intent.Target,
			open.Intent.Time.Local().Format(timeFormat), state)
	}
}

// oneTarget returns the target of all records, if it is the same.
func oneTarget(records []install.Record) (string, bool) {
	if len(records) == 0 {
		return "", false
	}
	for _, record := range records {
		if record.Target != records[0].Target {
			return "", false
		}
	}
	return records[0].Target, true
}

// remarks prints why operations failed, and what a restart was: too long for a column.
func remarks(out *term.Stream, records []install.Record) {
	first := true
	for _, record := range records {
		text := remark(&record)
		if text == "" {
			continue
		}
		if first {
			out.Println()
			first = false
		}
		out.Printf("%s  %s\n", out.Styles().Dim.Render(record.Time.Local().Format(timeFormat)), out.Hang(text, len(timeFormat)+2))
	}
}

// remark is what is to be said of a record besides its row.
func remark(record *install.Record) string {
	if record.Operation != install.OperationRestart {
		return term.Printable(cmp.Or(record.Error, vouchedFor(record)))
	}
	text := "restart"
	if record.Restarted != nil {
		text += fmt.Sprintf(" by %q", record.Restarted.Command)
	}
	if run := record.Rollout; run != nil {
		text += fmt.Sprintf(" for %s (generation %d, epoch %d)", run.Plan, run.Generation, run.Epoch)
	}
	switch {
	case record.Phase == install.PhaseIntent:
		text += ": it was begun, and its end was not recorded: look whether the replicas run: tbctl status"
	case record.Error != "":
		text += ": " + record.Error
	}
	if record.Restarted != nil && len(record.Restarted.Skipped) > 0 {
		text += "; not restarted: " + strings.Join(record.Restarted.Skipped, "; ")
	}
	return term.Printable(text)
}

// vouchedFor says of a file that a rollout brought who vouched for it: here, and as the plan says.
func vouchedFor(record *install.Record) string {
	if record.Rollout == nil || record.Operation != install.OperationInstall || record.Result != install.ResultInstalled {
		return ""
	}
	var held, stated []string
	for _, trust := range record.Trust {
		switch {
		case trust.Status == string(release.StatusHeld):
			held = append(held, trust.Kind)
		case trust.Detail == install.StatedByPlan:
			stated = append(stated, trust.Kind)
		}
	}
	text := "vouched for on this host by nothing"
	if len(held) > 0 {
		text = "vouched for on this host by " + strings.Join(held, ", ")
	}
	if len(stated) > 0 {
		text += "; the plan " + record.Rollout.Plan + " says by " + strings.Join(stated, ", ")
	}
	return text
}

// changeText says from which release an operation led to which.
func changeText(record install.Record) string {
	if record.Operation == install.OperationRestart {
		return pidsText(record.Restarted)
	}
	switch record.Result {
	case install.ResultRejected, install.ResultRefused, install.ResultBusy, install.ResultFenced, install.ResultFailed, install.ResultInterrupted, install.ResultFoundOld:
		switch {
		case record.New != nil && record.New.Release != 0:
		case record.Old == nil: // it ended before anything was looked at, or nothing is installed
			return "unchanged"
		default: // it ended before the new one was known
			return fileName(record.Old) + " stays"
		}
		return fileName(record.Old) + " stays, not " + fileName(record.New)
	}
	if record.New == nil {
		return fileName(record.Old)
	}
	return fileName(record.Old) + " → " + fileName(record.New)
}

// pidsText says which replicas were restarted.
func pidsText(restarted *install.Restarted) string {
	if restarted == nil {
		return "unchanged"
	}
	var words []string
	for _, pid := range restarted.PIDs {
		words = append(words, strconv.Itoa(pid))
	}
	if len(words) == 0 {
		return "no process was seen"
	}
	return "process " + strings.Join(words, ", ")
}

func whoText(record install.Record) string {
	if record.Rollout != nil {
		return fmt.Sprintf("%s (rollout of %s)", record.User, term.Printable(record.Rollout.Holder.Who))
	}
	if record.SudoUser != "" {
		return fmt.Sprintf("%s (sudo %s)", record.User, record.SudoUser)
	}
	return record.User
}

func resultText(out *term.Stream, result install.Result) string {
	switch result {
	case "": // of a restart that was begun
		return out.Styles().Bad.Render(string(install.ResultUnknown))
	case install.ResultInstalled, install.ResultRolledBack, install.ResultRestarted, install.ResultAlready, install.ResultFoundNew, install.ResultFoundOld:
		return out.Styles().Good.Render(string(result))
	case install.ResultUnknown, install.ResultFoundOther, install.ResultFoundNone:
		return out.Styles().Bad.Render(string(result))
	}
	return out.Styles().Warn.Render(string(result))
}
