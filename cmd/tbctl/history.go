package main

import (
	"errors"
	"io/fs"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/vfs"
)

type historyCmd struct {
	Target string `arg:"" optional:"" help:"Only what was done to this binary."`
	Last   int    `short:"l" default:"20" help:"Only the newest so many (20, and with --json all); 0 for all."`
	Merged bool   `help:"With --json: one object for each operation, also for one that was cut off."`
}

// Help is the long help text.
func (c *historyCmd) Help() string {
	return `Shows the journal: who installed what, from where, what was verified, and how it
ended. An operation that was cut off by a crash is shown with what is on the disk. It
changes nothing: the next command that changes the target completes the record.

A user who is not root sees his own journal, what of root's he may read, and the last change
of each target, and is told what he could not see.

Examples:

  tbctl history
  tbctl history /usr/local/bin/tigerbeetle --json --merged
` + exitHelp()
}

// Run shows the journal.
func (c *historyCmd) Run(a *app) error {
	if c.Last < 0 {
		return usage("all of them: --last 0", "--last: %d is not a number of operations", c.Last)
	}
	_, err := vfs.Stat(a.stateDir())
	if errors.Is(err, fs.ErrNotExist) && a.onCommandLine["state-dir"] {
		return usage("check the name; this host's is shown without --state-dir: tbctl history", "--state-dir: there is no directory %s", a.stateDir())
	}
	query := report.HistoryQuery{Target: c.Target, Known: a.settings().Targets()}
	for _, dir := range a.settings().Histories()[1:] {
		query.Besides = append(query.Besides, &install.Journal{FS: vfs.OS(), Dir: dir})
	}
	if errors.Is(err, fs.ErrNotExist) && len(query.Besides) == 0 {
		a.note("no history is kept yet: there is no directory %s", a.stateDir())
	}
	history, err := report.NewHistory(a.ctx, a.installer(), query)
	if history == nil {
		return err
	}
	a.warnAll(history.Warnings)
	for _, path := range history.Unseen {
		a.warn("%s may not be read by this user: of what it has, the last change of a target alone is shown, if that is kept beside it; all of it: sudo %s", path, a.line)
	}
	if c.Merged {
		history.Records = history.Merged()
	}
	if a.global.JSON && a.onCommandLine["last"] && c.Last > 0 {
		history.Shorten(c.Last)
	}
	a.emit(history, func(out *term.Stream) { render.History(out, history, c.Target, c.Last) })
	return err
}
