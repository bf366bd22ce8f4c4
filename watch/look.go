package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/vfs"
)

// seen is what the last look at the binary's inode found.
type seen int

const (
	seenNothing seen = iota
	seenFile
	seenError
)

// exchangedMax is how often a file is looked at that is exchanged before it can be read.
const exchangedMax = 3

// binary is the state of a replica that follows one path.
type binary struct {
	path string

	started bool
	last    seen
	facts   Facts
	refused Facts // of the last file without u+x; zero if the last look found none

	running multiversion.Release
	process started              // whose release and offer these are; zero without one
	header  *multiversion.Header // of the last file accepted
	offered []multiversion.Release
}

// started identifies a process and the release that it runs.
type started struct {
	pid     int
	at      time.Time
	release multiversion.Release
}

// look looks at the inode once, and returns an event if it is the first
// look or something has changed. The error is the context's.
func (b *binary) look(ctx context.Context, processes []replica.Process) (*Event, error) {
	b.restart(processes)
	first := !b.started
	b.started = true
	event, err := b.change(ctx, processes)
	if event != nil {
		event.First = first
	}
	return event, err
}

// change looks once more where the file was exchanged between the look and the reading.
func (b *binary) change(ctx context.Context, processes []replica.Process) (*Event, error) {
	event, err := b.changed(ctx, processes)
	for tries := 1; errors.Is(err, errExchanged) && tries < exchangedMax; tries++ {
		event, err = b.changed(ctx, processes)
	}
	if errors.Is(err, errExchanged) {
		err = nil
	}
	return event, err
}

func (b *binary) changed(ctx context.Context, processes []replica.Process) (*Event, error) {
	info, err := vfs.Stat(b.path)
	if err != nil {
		if b.last == seenError {
			return nil, nil
		}
		b.last, b.refused = seenError, Facts{}
		return b.event(nil, err), nil
	}
	facts := factsOf(info)
	// The mode comes before the comparison, and leaves what was seen before as it is.
	if checksMode && info.Mode()&0o100 == 0 {
		if b.refused == facts {
			return nil, nil
		}
		b.refused = facts
		return b.event(&facts, errNotExecutable), nil
	}
	b.refused = Facts{}
	if b.last == seenFile && b.facts == facts {
		return nil, nil
	}
	b.last, b.facts = seenFile, facts
	header, err := read(ctx, b.path, facts)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if errors.Is(err, errExchanged) {
		b.last = seenNothing // the next look is at the other one
		return b.event(&facts, err), err
	}
	if err != nil {
		return b.event(&facts, err), nil
	}
	return b.judge(&facts, header, processes), nil
}

// restart takes note of a replica that was started or has changed its release: it
// offers what it holds in memory, or what the file offers from there.
func (b *binary) restart(processes []replica.Process) {
	for index := range processes {
		process := &processes[index]
		release := process.Settles()
		if release == 0 || !process.Counts() {
			continue
		}
		found := started{process.PID, process.Started, release}
		if found == b.process {
			return
		}
		b.process, b.running = found, found.release
		switch {
		case process.Armed != nil && process.Armed.Offered != nil:
			b.offered = process.Armed.Offered
		case b.header != nil:
			b.offered = b.header.Advertisable(b.running)
		}
		return
	}
}

// event is for a file that no replica would take.
func (b *binary) event(facts *Facts, err error) *Event {
	return &Event{Kind: KindBinary, Path: b.path, File: facts, Verdict: verdictOf(err), Rule: ruleOf(err), Reason: err.Error(), Err: err,
		Running: b.running, Old: b.offered, New: b.offered}
}

// judge asks each replica about a good file, or the one that b stands for if it
// knows of none what it runs.
func (b *binary) judge(facts *Facts, header *multiversion.Header, processes []replica.Process) *Event {
	event := &Event{Kind: KindBinary, Path: b.path, File: facts, Verdict: VerdictAccepted, Current: header.Current.Release, Header: header,
		Running: b.running, Old: b.offered, New: header.Releases()}
	if b.running != 0 {
		event.New = header.Advertisable(b.running)
	}
	var err error
	known := false
	for index := range processes {
		if !processes[index].Counts() {
			continue
		}
		judgement, refusal := judgeFor(&processes[index], header, b.path)
		event.Replicas = append(event.Replicas, judgement)
		known = known || judgement.Running != 0
		if err == nil {
			err = refusal
		}
	}
	if !known && b.running != 0 {
		err = replica.Accepts(header, b.running, b.offered)
	}
	if err != nil {
		event.Verdict, event.Reason, event.Err = verdictOf(err), err.Error(), err
		event.New = b.offered
		return event
	}
	b.header, b.offered = header, event.New
	return event
}

func judgeFor(process *replica.Process, header *multiversion.Header, path string) (Judgement, error) {
	judgement := Judgement{PID: process.PID, State: process.State, Running: process.Settles(), Polls: process.Polls}
	if judgement.Running == 0 {
		judgement.Reason = "the release that runs is not known"
		return judgement, nil
	}
	if hindrance, why := process.Hindrance(); hindrance == replica.HindranceOtherFile {
		judgement.Reason = why
		return judgement, nil
	}
	judgement.Old = []multiversion.Release{judgement.Running}
	if process.Armed != nil && process.Armed.Offered != nil {
		judgement.Old = process.Armed.Offered
	}
	judgement.New = header.Advertisable(judgement.Running)
	err := replica.Accepts(header, judgement.Running, judgement.Old)
	denied := mayExecute(process, path)
	if denied != nil && denied.Right != vfs.RightExecute {
		err = denied
	}
	judgement.Verdict = verdictOf(err)
	if err != nil {
		judgement.New, judgement.Reason = slices.Clone(judgement.Old), err.Error()
	} else if denied != nil {
		judgement.Reason = "a restart would fail: " + denied.Error()
	}
	return judgement, err
}

// mayExecute says what the replica's user lacks to read or execute the file that is at the path now; nil: nothing, or it
// cannot be seen.
func mayExecute(process *replica.Process, path string) *vfs.DeniedError {
	file, err := vfs.GuardedAt(path)
	if err != nil {
		return nil
	}
	file.Path = path
	denied, _ := errors.AsType[*vfs.DeniedError](process.MayExecute(file))
	return denied
}

// read reads the whole file that was seen at the path and returns its header if every checksum
// that a replica verifies holds.
func read(ctx context.Context, path string, seen Facts) (*multiversion.Header, error) {
	file, info, err := vfs.OpenFile(path, vfs.RegularOnly(vfs.ErrNotRegular))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if !factsOf(info).same(seen) {
		return nil, errExchanged
	}
	parsed, err := multiversion.Parse(file, info.Size())
	if err != nil {
		return nil, err
	}
	if err := checkSize(parsed); err != nil {
		return nil, err
	}
	sum, err := parsed.ChecksumWithoutHeader(ctx)
	if err != nil {
		return nil, err
	}
	header := &parsed.HostImage().Header
	if sum != header.ChecksumBinary {
		return nil, fmt.Errorf("%w: it is %s, the header says %s", errChecksum, sum, header.ChecksumBinary)
	}
	return header, nil
}
