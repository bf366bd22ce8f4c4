package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/vfs"
)

const (
	journalsName = "rollouts"      // the directory of what was asked for each plan
	journalName  = "rollout.jsonl" // of all plans, as earlier versions wrote it
	journalExt   = ".jsonl"
	countersName = "rollout-counters.json"

	// EntriesMin is how many of the last requests for a plan are kept at least, and PlansMax for how many plans: those of the others go, the
	// oldest first.
	EntriesMin = 1024
	PlansMax   = 500

	entrySizeMax    = 4 << 10 // bytes of a line
	causesSizeMax   = 2 << 10 // bytes of the causes in it
	ringSize        = EntriesMin * entrySizeMax
	recordWait      = 3 * time.Second // for another writer: nothing depends on the journal
	countersSizeMax = 64 << 10
	countersMode    = vfs.Mode(0o600)
	stateDirMode    = vfs.Mode(0o755)
)

// Request is what a host is asked for.
type Request string

// The requests.
const (
	RequestObserve Request = "observe" // noted when it fails, and when it succeeds again
	RequestSend    Request = "stage"
	RequestCheck   Request = "check"
	RequestClaim   Request = "claim"
	RequestPhase   Request = "phase"
	RequestSwap    Request = "swap"
	RequestRestart Request = "restart"
)

// What is noted besides, when a look shows it and the one before did not.
const (
	SeenArmed   Request = "armed"   // a replica of the target holds the artifact in memory
	SeenRunning Request = "running" // a replica of the target runs the artifact's release
)

// Entry is one request to one host, as the journal has it.
type Entry struct {
	Time       time.Time     `json:"time"`    // at which it was answered
	Rollout    string        `json:"rollout"` // the plan's id
	Cluster    string        `json:"cluster"`
	Host       string        `json:"host"`
	Target     string        `json:"target"`
	Generation uint64        `json:"generation"`
	Epoch      uint64        `json:"epoch"` // 0: the run has claimed nothing
	Request    Request       `json:"request"`
	Artifact   string        `json:"artifact"`
	Phase      fleet.Phase   `json:"phase,omitempty"`    // that was noted, of a phase and a swap
	Promotes   bool          `json:"promotes,omitempty"` // of a swap: it completes the quorum, and the cluster was seen to be stable before it
	From       string        `json:"from"`               // where the bytes came from: push, or a host; "": none came
	Bytes      int64         `json:"bytes"`              // that were sent, or copied
	Took       time.Duration `json:"took"`               // nanoseconds
	Attempt    int           `json:"attempt"`
	Result     fault.Class   `json:"result"` // "": done
	Reason     string        `json:"reason"` // in one word; "": none
	Causes     []string      `json:"causes"` // the whole chain, the outermost first; empty: done
}

// Counters are how often what happened.
type Counters struct {
	Requests    map[Request]uint64     `json:"requests"`     // that were answered, or given up
	Failed      map[Request]uint64     `json:"failed"`       // of them
	Classes     map[fault.Class]uint64 `json:"classes"`      // of the failures
	BytesSent   uint64                 `json:"bytes_sent"`   // into stores, from here
	BytesCopied uint64                 `json:"bytes_copied"` // into stores, from other hosts
	BytesHad    uint64                 `json:"bytes_had"`    // that were there and not sent
	Looks       uint64                 `json:"looks"`        // at all hosts of a cluster
	Lost        uint64                 `json:"lost"`         // sessions that ended in the middle
	StableAgain uint64                 `json:"stable_again"` // periods of stability that were broken off
	Runs        uint64                 `json:"runs"`
}

func newCounters() Counters {
	return Counters{Requests: map[Request]uint64{}, Failed: map[Request]uint64{}, Classes: map[fault.Class]uint64{}}
}

// add adds the counts of another.
func (c *Counters) add(other Counters) {
	for key, count := range other.Requests {
		c.Requests[key] += count
	}
	for key, count := range other.Failed {
		c.Failed[key] += count
	}
	for key, count := range other.Classes {
		c.Classes[key] += count
	}
	c.BytesSent += other.BytesSent
	c.BytesCopied += other.BytesCopied
	c.BytesHad += other.BytesHad
	c.Looks += other.Looks
	c.Lost += other.Lost
	c.StableAgain += other.StableAgain
	c.Runs += other.Runs
}

// since is what was counted after another count of the same run.
func (c *Counters) since(before Counters) Counters {
	left := newCounters()
	for key, count := range c.Requests {
		left.Requests[key] = count - before.Requests[key]
	}
	for key, count := range c.Failed {
		left.Failed[key] = count - before.Failed[key]
	}
	for key, count := range c.Classes {
		left.Classes[key] = count - before.Classes[key]
	}
	left.BytesSent = c.BytesSent - before.BytesSent
	left.BytesCopied = c.BytesCopied - before.BytesCopied
	left.BytesHad = c.BytesHad - before.BytesHad
	left.Looks = c.Looks - before.Looks
	left.Lost = c.Lost - before.Lost
	left.StableAgain = c.StableAgain - before.StableAgain
	left.Runs = c.Runs - before.Runs
	return left
}

// Journal is the log of the requests of rollouts, one file for each plan, so that none of them pushes out what is known of another, and their
// counters. Nothing is decided by it. The nil Journal records nothing.
type Journal struct {
	FS  vfs.FS
	Dir string // the state directory; made when the first entry is written

	mu      sync.Mutex
	failed  error // the first
	counted bool  // the files of plans, and those too many removed
}

// Path returns the path of the file of a plan.
func (j *Journal) Path(plan string) string {
	return filepath.Join(j.Dir, journalsName, sha.Digits(plan)+journalExt)
}

// countersPath returns the path of the counters of all runs.
func (j *Journal) countersPath() string { return filepath.Join(j.Dir, countersName) }

// Err is the first error of writing, nil if all was written.
func (j *Journal) Err() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}

// fail keeps the first error.
func (j *Journal) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed == nil {
		j.failed = fmt.Errorf("the journal of rollouts: %w", err)
	}
}

// record appends an entry, at the end of an interrupted run too.
func (j *Journal) record(ctx context.Context, entry Entry) {
	if j == nil {
		return
	}
	line, err := json.Marshal(entry)
	if err == nil && len(line) > entrySizeMax {
		entry.Causes = []string{clip(entry.Causes[0], causesSizeMax/4)}
		line, err = json.Marshal(entry)
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWait)
		defer cancel()
		j.prune()
		err = durable.AppendRing(ctx, j.FS, j.Path(entry.Rollout), line, ringSize)
	}
	if err != nil {
		j.fail(err)
	}
}

// prune removes the files of the plans that were not worked on for longest, once in a run, where there are more than may be. What cannot be
// removed stays.
func (j *Journal) prune() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.counted {
		return
	}
	j.counted = true
	dir, err := j.FS.OpenDir(filepath.Join(j.Dir, journalsName))
	if err != nil {
		return
	}
	defer dir.Close()
	names, err := dir.List("", 4*PlansMax)
	if err != nil && len(names) == 0 {
		return
	}
	modified := map[string]time.Time{}
	for _, name := range names {
		if info, err := dir.Lstat(name); err == nil && sha.Is(strings.TrimSuffix(name, journalExt)) {
			modified[name] = info.Modified
		}
	}
	plans := slices.SortedFunc(maps.Keys(modified), func(a, b string) int { return modified[a].Compare(modified[b]) })
	for _, name := range plans[:max(0, len(plans)-PlansMax+1)] {
		_, _ = dir.Remove(name), dir.Remove(name+durable.RingSuffix)
	}
}

// Entries calls each for the entries of a plan that are kept, the oldest first.
func (j *Journal) Entries(plan string, each func(Entry)) error {
	if j == nil {
		return nil
	}
	earlier := filepath.Join(j.Dir, journalName)
	for _, name := range []string{earlier + durable.RingSuffix, earlier, j.Path(plan) + durable.RingSuffix, j.Path(plan)} {
		_, _, err := durable.ScanJournal(j.FS, name, 0, func(_ int, line []byte) {
			var entry Entry
			if fault.Unmarshal(line, &entry) == nil && entry.Request != "" && entry.Rollout == plan {
				each(entry)
			}
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Lifetime returns the counters of all runs. Where none were written, or they cannot be understood, all are 0.
func (j *Journal) Lifetime() (Counters, error) {
	total := newCounters()
	if j == nil {
		return total, nil
	}
	text, _, err := vfs.ReadSmall(j.FS, j.countersPath(), countersSizeMax)
	if errors.Is(err, fs.ErrNotExist) {
		return total, nil
	}
	var stored Counters
	if err == nil && fault.Unmarshal(text, &stored) == nil {
		total.add(stored)
	}
	return total, err
}

// count adds what a run counted to the counters of all runs.
func (j *Journal) count(run Counters) {
	if j == nil {
		return
	}
	total, err := j.Lifetime()
	if err == nil {
		err = durable.MkdirAll(j.FS, j.Dir, stateDirMode)
	}
	if err == nil {
		total.add(run)
		err = durable.WriteFile(j.FS, j.countersPath(), countersMode, true, func(w io.Writer) error {
			text, err := json.MarshalIndent(total, "", "  ")
			if err == nil {
				_, err = w.Write(append(text, '\n'))
			}
			return err
		})
	}
	if err != nil {
		j.fail(err)
	}
}

// causesOf is the whole chain of an error, each text that says more than the one in it.
func causesOf(err error) []string {
	causes := []string{}
	size := 0
	for each := range fault.All(err) {
		text := clip(each.Error(), causesSizeMax/2)
		if len(causes) > 0 && causes[len(causes)-1] == text {
			continue
		}
		if size += len(text); size > causesSizeMax {
			break
		}
		causes = append(causes, text)
	}
	return causes
}

// clip keeps a text short and whole characters.
func clip(text string, size int) string {
	if len(text) <= size {
		return text
	}
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	return text[:size] + "…"
}
