package report

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
)

// History is the result of history: what was done on this host.
type History struct {
	Journal     string                `json:"journal"`       // the path of the file
	Records     []install.Record      `json:"records"`       // the oldest first
	LeftOut     int                   `json:"left_out"`      // older records that are not among them, by --last
	Interrupted []install.Interrupted `json:"interrupted"`   // operations whose outcome is not known
	Damaged     int                   `json:"damaged_lines"` // lines of the journal that are no records
	Complete    bool                  `json:"complete"`      // no older records were left out

	// Unseen are journals of this host that this user may not read: of what they have, Records have the last change of each target alone.
	Unseen []string `json:"unseen"`

	Warnings []string `json:"-"` // what could not be found out
}

// HistoryQuery is what is asked of the histories of a host.
type HistoryQuery struct {
	Target  string             // "": all
	Besides []*install.Journal // of others on this host; what of them may not be read is said

	// Known are targets of which the last change is looked for beside them where a journal may not be read, and none is asked for.
	Known []string
}

// NewHistory reads the installer's journal, of one target or of all, and looks at the targets for
// an operation whose outcome is not known. It changes nothing. Where a journal may not be read, of each target the last change
// is there, if that is kept beside it for this user too; if that journal is the installer's own, the history is there with the error.
func NewHistory(ctx context.Context, in *install.Installer, query HistoryQuery) (*History, error) {
	path := query.Target
	if path != "" {
		if target, err := fsatomic.Lookup(in.FS, path); err == nil {
			path = target.Path
		}
	}
	read, err := in.Journal.Read(path)
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	h := &History{Journal: in.Journal.Path(), Records: read.Records, Damaged: read.Damaged, Complete: read.Complete}
	if err != nil {
		h.Unseen = append(h.Unseen, h.Journal)
	}
	for _, other := range query.Besides {
		h.besides(other, path)
	}
	targets := []string{path}
	if path == "" {
		targets = (install.History{Records: h.Records}).Targets()
		if len(h.Unseen) > 0 {
			targets = append(targets, query.Known...)
		}
	}
	for _, target := range targets {
		interrupted, err := in.Interrupted(ctx, target)
		if err != nil {
			h.warn("interrupted operations of %s could not be looked for: %v", target, err)
		}
		if interrupted != nil {
			h.Interrupted = append(h.Interrupted, *interrupted)
		}
		if len(h.Unseen) > 0 {
			h.last(in, target)
		}
	}
	slices.SortStableFunc(h.Records, func(a, b install.Record) int { return a.Time.Compare(b.Time) })
	if h.Damaged > 0 {
		h.warn("%d lines of %s are no records", h.Damaged, h.Journal)
	}
	if !h.Complete {
		h.warn("%s has older records, which are left out", h.Journal)
	}
	return h, err
}

// besides adds what another journal of this host has.
func (h *History) besides(journal *install.Journal, path string) {
	read, err := journal.Read(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		h.Unseen = append(h.Unseen, journal.Path())
	case err != nil:
		h.warn("%v", err)
	}
	h.Records = append(h.Records, read.Records...)
	h.Damaged, h.Complete = h.Damaged+read.Damaged, h.Complete && (read.Complete || err != nil)
}

// last adds the last change of a target, by what is kept beside it, where no journal had it.
func (h *History) last(in *install.Installer, name string) {
	target, err := fsatomic.Lookup(in.FS, name)
	if err != nil {
		return
	}
	state, err := in.ReadState(target, nil)
	if err != nil || state.Last == nil || slices.ContainsFunc(h.Records, func(r install.Record) bool { return r.ID == state.Last.ID }) {
		return
	}
	h.Records = append(h.Records, *state.Last)
}

// Merged is one record for each operation, the oldest first: its outcome, or its intent where that is not known, with what was found
// on the disk as the result. An operation that may be under way has none, and neither has a restart whose end was not recorded.
func (h *History) Merged() []install.Record {
	merged := []install.Record{}
	begun := make(map[string]int) // of a restart without an outcome: which of them it is
	for _, record := range h.Records {
		at, restart := begun[record.ID]
		switch {
		case record.Phase == install.PhaseOutcome && restart:
			merged[at] = record
		case record.Phase == install.PhaseOutcome:
			merged = append(merged, record)
		case record.Operation == install.OperationRestart:
			begun[record.ID] = len(merged)
			merged = append(merged, record)
		}
	}
	for _, open := range h.Interrupted {
		record := open.Intent
		if !open.Busy {
			record.Result = open.Found
		}
		merged = append(merged, record)
	}
	slices.SortStableFunc(merged, func(a, b install.Record) int { return a.Time.Compare(b.Time) })
	return merged
}

// Shorten leaves the newest records, at most so many.
func (h *History) Shorten(last int) {
	if left := len(h.Records) - last; left > 0 {
		h.Records, h.LeftOut = h.Records[left:], left
	}
}

func (h *History) warn(format string, args ...any) {
	h.Warnings = append(h.Warnings, fmt.Sprintf(format, args...))
}
