package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/report"
)

type historyCmd struct {
	Target string `arg:"" optional:"" help:"Only what was done to this binary."`
	Last   int    `short:"l" default:"20" help:"At most that many operations in the table; 0 for all."`
}

// Help is the long help text.
func (c *historyCmd) Help() string {
	return `Shows the journal: who installed what, from where, what was verified, and how it
ended. An operation that was cut off by a crash is shown with what is on the disk. It
changes nothing: the next command that changes the target completes the record.

Examples:

  tbctl history
  tbctl history /usr/local/bin/tigerbeetle --json
` + exitHelp()
}

// Run shows the journal.
func (c *historyCmd) Run(a *app) error {
	history, err := report.NewHistory(a.ctx, a.installer(), c.Target)
	if err != nil {
		return err
	}
	a.warnAll(history.Warnings)
	a.emit(history, func(out *term.Stream) { c.render(out, history) })
	return nil
}

func (c *historyCmd) render(out *term.Stream, result *report.History) {
	var outcomes []install.Record
	for _, record := range result.Records {
		if record.Phase == install.PhaseOutcome {
			outcomes = append(outcomes, record)
		}
	}
	if len(outcomes) == 0 && len(result.Interrupted) == 0 {
		if c.Target != "" {
			out.Printf("nothing about %s in %s; all there is: tbctl history\n", term.Printable(c.Target), result.Journal)
			return
		}
		out.Printf("nothing in %s\n", result.Journal)
		return
	}
	if c.Last > 0 && len(outcomes) > c.Last {
		outcomes = outcomes[len(outcomes)-c.Last:]
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
	renderReasons(out, outcomes)
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

// renderReasons prints why operations failed: too long for a column.
func renderReasons(out *term.Stream, records []install.Record) {
	first := true
	for _, record := range records {
		if record.Error == "" {
			continue
		}
		if first {
			out.Println()
			first = false
		}
		out.Printf("%s  %s\n", out.Styles().Dim.Render(record.Time.Local().Format(timeFormat)), out.Hang(term.Printable(record.Error), len(timeFormat)+2))
	}
}

// changeText says from which release an operation led to which.
func changeText(record install.Record) string {
	switch record.Result {
	case install.ResultRejected, install.ResultRefused, install.ResultBusy, install.ResultFailed, install.ResultInterrupted, install.ResultFoundOld:
		if record.New == nil || record.New.Release == 0 { // it ended before the new one was known
			return fileName(record.Old) + " stays"
		}
		return fileName(record.Old) + " stays, not " + fileName(record.New)
	}
	if record.New == nil {
		return fileName(record.Old)
	}
	return fileName(record.Old) + " → " + fileName(record.New)
}

func whoText(record install.Record) string {
	if record.SudoUser != "" {
		return fmt.Sprintf("%s (sudo %s)", record.User, record.SudoUser)
	}
	return record.User
}

func resultText(out *term.Stream, result install.Result) string {
	switch result {
	case install.ResultInstalled, install.ResultRolledBack, install.ResultAlready, install.ResultFoundNew, install.ResultFoundOld:
		return out.Styles().Good.Render(string(result))
	case install.ResultUnknown, install.ResultFoundOther, install.ResultFoundNone:
		return out.Styles().Bad.Render(string(result))
	}
	return out.Styles().Warn.Render(string(result))
}
