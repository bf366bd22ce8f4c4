package install

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/vfs"
)

// journalName is the journal's name in the state directory. One journal holds
// the records of all targets.
const journalName = "history.jsonl"

const (
	// journalWait bounds the time that a record waits for another writer: nothing depends on it.
	journalWait = 3 * time.Second

	// RecordsMax is the most records of a journal that are kept in memory.
	RecordsMax = 2_500
	// lastChangeSizeMax is the most bytes of a journal that are read for the last change.
	lastChangeSizeMax = 4 << 20
	// inVainFor is how long no other record is added after one of a rollout's request that changed nothing.
	inVainFor = time.Hour
	// targetsMax is the most targets of a journal that are looked at.
	targetsMax = 64
	// readsMax is how often a journal is read that has damaged lines, and damagedLinesMax how many of them are told.
	readsMax        = 2
	damagedLinesMax = 16
)

// Journal is the log of what was done on this host: one JSON line for each operation that had the target's lock, however it ended,
// or was refused before that by what the replicas need, see [Installer.Refuse]; a restart has one more, before it begins. What was
// refused by the lock, or before it by the place, and what found its file installed, has none, and of a rollout's requests that change nothing one in an hour has. What must be known of a target is kept beside
// it, see [State]; where others can have written that, the journal vouches for the previous file, and nothing else depends on it.
// The nil Journal records nothing and is empty.
type Journal struct {
	FS  vfs.FS
	Dir string // the state directory; made when the first record is written
}

// Path returns the journal file's path.
func (j *Journal) Path() string { return filepath.Join(j.Dir, journalName) }

// append writes a record. Even at the end of an interrupted run a record is
// written, so it does not follow ctx.
func (j *Journal) append(ctx context.Context, record Record) error {
	if j == nil {
		return nil
	}
	line, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("record in %s: %w", j.Path(), err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), journalWait)
	defer cancel()
	if err := durable.Append(ctx, j.FS, j.Path(), line); err != nil {
		return &JournalError{Path: j.Path(), Err: err}
	}
	return nil
}

// check finds what would hinder append, for a dry run.
func (j *Journal) check() error {
	if j == nil {
		return nil
	}
	line, err := json.Marshal(Record{Version: recordVersion}) // it begins as every one does
	if err == nil {
		err = durable.CheckAppend(j.FS, j.Path(), line)
	}
	if err != nil {
		return &JournalError{Path: j.Path(), Err: err}
	}
	return nil
}

// JournalError says that the journal could not be written or read.
type JournalError struct {
	Path string
	Err  error
}

// Error says which journal and why.
func (e *JournalError) Error() string { return "history " + e.Path + ": " + onPath(e.Path, e.Err) }

// Unwrap returns the cause.
func (e *JournalError) Unwrap() error { return e.Err }

// History is what a journal holds.
type History struct {
	Records []Record `json:"records"` // oldest first

	// Damaged counts lines that are no records, as a crash may leave one, and DamagedLines are the first of them.
	Damaged      int           `json:"damaged_lines"`
	DamagedLines []DamagedLine `json:"-"`

	// Complete is false if older records were left out, since the journal has more
	// than what is read of it, or kept.
	Complete bool `json:"complete"`

	writers vfs.Writers // who else can have written what was read
}

// DamagedLine is a line of a journal that is no record.
type DamagedLine struct {
	Number int    // in the file, from 1 on; 0: not known
	Target string // whose record it was, where it is only cut short; "": that cannot be told
}

// Read returns the newest records of the target, or of all of them for "": at most
// [RecordsMax]. A journal that does not exist is empty.
func (j *Journal) Read(target string) (History, error) { return j.read(target, 0) }

// LastChange returns the newest record of an operation that changed the target, or may have; nil if there is none.
func (j *Journal) LastChange(target string) (*Record, error) {
	history, err := j.read(target, lastChangeSizeMax)
	last, _ := history.lastChange()
	return last, err
}

// read is Read of the last bytes; 0: of all that are ever read.
func (j *Journal) read(target string, sizeMax int64) (History, error) {
	history := History{Complete: true, Records: []Record{}}
	if j == nil {
		return history, nil
	}
	var all bool
	var writers vfs.Writers
	var err error
	for range readsMax {
		history = History{Complete: true, Records: []Record{}}
		all, writers, err = durable.ScanJournal(j.FS, j.Path(), sizeMax, func(number int, line []byte) { history.add(number, line, target) })
		if err != nil || history.Damaged == 0 { // otherwise one may just be being written
			break
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		if err = vfs.Dangling(j.FS, j.Path()); err == nil {
			return history, nil
		}
	}
	if err != nil {
		return history, &JournalError{Path: j.Path(), Err: err}
	}
	history.Complete, history.writers = history.Complete && all, writers
	history.shorten(RecordsMax)
	return history, nil
}

// hasLike reports whether a record need not be added: it is of a request of a rollout that changed nothing, and so is the newest one of its target, of
// less than an hour ago. Who may ask for a rollout could ask for ever, and push out of the history what it is there for; he is told in any case.
func (j *Journal) hasLike(record Record) bool {
	if !record.inVain() {
		return false
	}
	history, err := j.read(record.Target, lastChangeSizeMax)
	if err != nil || len(history.Records) == 0 {
		return false
	}
	last := history.Records[len(history.Records)-1]
	since := record.Time.Sub(last.Time)
	return last.inVain() && since >= 0 && since < inVainFor
}

// own reports whether a record of a change of the target that mentions a file, by its SHA-256, is one, in a journal that only root and this
// user can have written. All of it is read, so that no number of other records keeps one from being found.
func (j *Journal) own(target, sum string, is func(*Record) bool) (bool, error) {
	if j == nil {
		return false, nil
	}
	found := false
	writers, err := durable.ScanWhole(j.FS, j.Path(), func(_ int, line []byte) {
		var record Record
		if found || !bytes.Contains(line, []byte(sum)) || fault.Unmarshal(line, &record) != nil {
			return
		}
		found = record.Version != 0 && record.Target == target && record.ownChange() && is(&record)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return false, vfs.Dangling(j.FS, j.Path())
	}
	if err != nil {
		return false, &JournalError{Path: j.Path(), Err: err}
	}
	return found && writers.None(), nil
}

// add takes a line, and holds at most twice as many records as are wanted.
func (h *History) add(number int, line []byte, target string) {
	var record Record
	if err := fault.Unmarshal(line, &record); err != nil || record.Version == 0 {
		h.Damaged++
		if len(h.DamagedLines) < damagedLinesMax {
			h.DamagedLines = append(h.DamagedLines, DamagedLine{Number: number, Target: tornTarget(line)})
		}
		return
	}
	if target != "" && record.Target != target {
		return
	}
	h.Records = append(h.Records, record)
	if len(h.Records) >= 2*RecordsMax {
		h.shorten(RecordsMax)
	}
}

// tornTarget is the target that a record names which is cut short behind it, as by a power cut, with or without zeros; "": it names none, or is
// damaged in another way.
func tornTarget(line []byte) string {
	fields := json.NewDecoder(bytes.NewReader(bytes.TrimRight(line, "\x00")))
	if start, err := fields.Token(); err != nil || start != json.Delim('{') {
		return ""
	}
	target := ""
	for {
		name, err := fields.Token()
		var value json.RawMessage
		if err == nil && name != json.Delim('}') {
			err = fields.Decode(&value)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return target
		case err != nil, name == json.Delim('}'):
			return ""
		case name == "target" && (json.Unmarshal(value, &target) != nil || !filepath.IsAbs(target)):
			return ""
		}
	}
}

// shorten leaves the newest records.
func (h *History) shorten(most int) {
	if extra := len(h.Records) - most; extra > 0 {
		h.Records, h.Complete = slices.Clone(h.Records[extra:]), false
	}
}

// Targets returns the targets of the records, each once and the latest first, at most 64.
func (h History) Targets() []string {
	var targets []string
	for _, record := range slices.Backward(h.Records) {
		if !slices.Contains(targets, record.Target) && len(targets) < targetsMax {
			targets = append(targets, record.Target)
		}
	}
	return targets
}

// lastChange returns the last operation that changed the target, or may have, of which
// the records are; nil if there is none. known is whether its outcome is.
func (h History) lastChange() (last *Record, known bool) {
	done := make(map[string]bool)
	for _, record := range h.Records {
		if record.Phase == PhaseOutcome {
			done[record.ID] = true
		}
	}
	for index := range h.Records {
		record := &h.Records[index]
		if record.changed() || record.Phase == PhaseIntent && record.Operation != OperationRestart && !done[record.ID] {
			last = record
		}
	}
	return last, last != nil && last.Phase == PhaseOutcome && last.Result != ResultUnknown
}

// newID returns a random name for an operation.
func newID() string {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}
