package report

import (
	"context"
	"fmt"
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

	Warnings []string `json:"-"` // what could not be found out
}

// NewHistory reads the installer's journal, of one target or, with "", of all, and looks at the targets for
// an operation whose outcome is not known. It changes nothing.
func NewHistory(ctx context.Context, in *install.Installer, name string) (*History, error) {
	path := name
	if name != "" {
		if target, err := fsatomic.Lookup(in.FS, name); err == nil {
			path = target.Path
		}
	}
	read, err := in.Journal.Read(path)
	if err != nil {
		return nil, err
	}
	h := &History{Journal: in.Journal.Path(), Records: read.Records, Damaged: read.Damaged, Complete: read.Complete}
	targets := []string{path}
	if path == "" {
		targets = read.Targets()
	}
	for _, target := range targets {
		interrupted, err := in.Interrupted(ctx, target)
		if err != nil {
			h.warn("interrupted operations of %s could not be looked for: %v", target, err)
		}
		if interrupted != nil {
			h.Interrupted = append(h.Interrupted, *interrupted)
		}
	}
	if h.Damaged > 0 {
		h.warn("%d lines of %s are no records", h.Damaged, h.Journal)
	}
	if !h.Complete {
		h.warn("%s has older records, which are left out", h.Journal)
	}
	return h, nil
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
