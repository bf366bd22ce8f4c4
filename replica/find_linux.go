package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/tbctl/tbctl/multiversion"
)

const (
	procDefault  = "/proc"
	processesMax = 1 << 18
	namesChunk   = 1024

	// unnamedMax is how often a process is looked at that does not say what it calls itself, and absentWait how long one that has
	// no executable though it has not ended, because its threads make place for what one of them executes: on a busy host that takes as
	// long as each of them waits for a processor. absentPause is the time between.
	unnamedMax  = 5
	absentWait  = 200 * time.Millisecond
	absentPause = time.Millisecond
)

// lookLimits bound what looking at processes may take, and strangerLimits what looking at
// those of strangers may, which come after all others: whoever makes processes that do not
// answer keeps nobody else waiting for long.
var (
	lookLimits     = limits{workers: 4, answer: 2 * time.Second, late: 16, all: 10 * time.Second}
	strangerLimits = limits{workers: 4, answer: 500 * time.Millisecond, late: 8, all: 3 * time.Second}
)

// errUnsettled says that a process is about to execute something.
var errUnsettled = errors.New("in the middle of an execution")

// errAbsent says so of one that has no executable.
var errAbsent error = absentError{}

type absentError struct{}

func (absentError) Error() string { return "without an executable: " + errUnsettled.Error() }
func (absentError) Unwrap() error { return errUnsettled }

func (f *Finder) proc() string {
	if f.options.Proc == "" {
		return procDefault
	}
	return f.options.Proc
}

// find glances at every process, and then looks into those that may run from the target.
func (f *Finder) find(ctx context.Context) (View, error) {
	view := View{Processes: []Process{}}
	pids, err := f.pids()
	if err != nil {
		return view, err
	}
	place, err := f.locate()
	if err != nil {
		return view, err
	}
	view.Unseen, view.ByName = f.visibility()
	believed, strangers, err := f.glances(ctx, place, pids, &view)
	if err != nil {
		return view, err
	}
	if len(believed)+len(strangers) > 0 {
		place.read(f.mounts())
		view.Held = place.held
	}
	alive := make(map[executable]bool)
	if err := f.looks(ctx, lookLimits, place, believed, alive, &view); err != nil {
		return view, err
	}
	if err := f.looks(ctx, strangerLimits, place, strangers, alive, &view); err != nil {
		return view, err
	}
	slices.SortFunc(view.Processes, func(a, b Process) int { return cmp.Compare(a.PID, b.PID) })
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.plain, func(key executable, _ multiversion.Checksum) bool { return !alive[key] })
	return view, nil
}

// pids lists the processes in ascending order, but for those that are left out.
func (f *Finder) pids() ([]int, error) {
	directory, err := os.Open(f.proc())
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer directory.Close()
	var pids []int
	for {
		names, err := directory.Readdirnames(namesChunk)
		for _, name := range names {
			pid, err := strconv.Atoi(name)
			if err != nil || pid <= 0 || slices.Contains(f.options.Ignore, pid) || len(f.options.Only) > 0 && !slices.Contains(f.options.Only, pid) {
				continue
			}
			pids = append(pids, pid)
		}
		if len(pids) > processesMax {
			return nil, fmt.Errorf("list processes: %w: more than %d", ErrTooMany, processesMax)
		}
		if errors.Is(err, io.EOF) {
			slices.Sort(pids)
			return pids, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list processes: %w", err)
		}
	}
}

// glance is what is seen of a process without looking into it.
type glance struct {
	pid       int
	candidate bool // it may run from the target
	executes  bool // the very file at the target, or the one beside it
	forbidden bool // nothing of it may be read
	elsewhere bool // it is a replica that calls itself by a path of which it cannot be seen where it leads
	stranger  bool
	service   bool // of a stranger's: it is in a service of the system, and so counts
	busy      bool // a look of an earlier time still goes on
}

// glances returns the processes that may run from the target, those of strangers that do not count by
// themselves. What a stranger's process calls itself is asked for after all others: the answer
// may never come, and then it is no more than skipped, whatever it executes. Those in
// services come first, since no stranger can put a process there to take their time.
func (f *Finder) glances(ctx context.Context, place *place, pids []int, view *View) (believed, strangers []glance, err error) {
	look := func(limits limits, pids []int, strangers bool) (seen []glance, late []int, err error) {
		found, answered, err := bounded(ctx, limits, pids, func(ctx context.Context, pid int) glance {
			seen := glance{pid: pid, busy: true}
			f.once(pid, func() { seen = f.glance(ctx, place, pid, strangers) })
			return seen
		})
		for index := range answered {
			if answered[index] && !found[index].busy {
				seen = append(seen, found[index])
			} else {
				late = append(late, pids[index])
			}
		}
		return seen, late, err
	}
	seen, late, err := look(lookLimits, pids, false)
	if err != nil {
		return nil, nil, err
	}
	late, skipped := f.mayCount(place, late)
	view.Skipped += skipped
	view.Unseen = append(view.Unseen, summarize(UnseenNoAnswer, late, noAnswer(lookLimits))...)
	var forbidden, elsewhere, services, first, later []int // first: strangers' processes that execute the target
	for _, each := range seen {
		switch {
		case each.stranger && each.service:
			services = append(services, each.pid)
		case each.stranger && each.executes:
			first = append(first, each.pid)
		case each.stranger:
			later = append(later, each.pid)
		case each.candidate:
			believed = append(believed, each)
		case each.elsewhere:
			elsewhere = append(elsewhere, each.pid)
		case each.forbidden:
			forbidden = append(forbidden, each.pid)
		}
	}
	ofServices, late, err := look(lookLimits, services, true)
	if err != nil {
		return nil, nil, err
	}
	view.Unseen = append(view.Unseen, summarize(UnseenNoAnswer, late, noAnswer(lookLimits))...)
	if seen, late, err = look(strangerLimits, slices.Concat(first, later), true); err != nil {
		return nil, nil, err
	}
	view.Skipped += len(late)
	for _, each := range slices.Concat(ofServices, seen) {
		switch {
		case each.candidate && each.service:
			believed = append(believed, each)
		case each.candidate:
			strangers = append(strangers, each)
		case each.elsewhere:
			elsewhere = append(elsewhere, each.pid)
		case each.forbidden:
			forbidden = append(forbidden, each.pid)
		}
	}
	slices.Sort(elsewhere)
	view.Unseen = append(view.Unseen, summarize(UnseenForbidden, elsewhere, "is a replica by its command line, and which file it executes may not be looked into")...)
	slices.Sort(forbidden)
	if len(forbidden) > 0 && !slices.ContainsFunc(view.Unseen, func(unseen Unseen) bool { return unseen.Kind == UnseenHidden }) {
		view.Unseen = append(view.Unseen, summarize(UnseenForbidden, forbidden, "may not be looked into")...)
	}
	return believed, strangers, nil
}

// mayCount returns those of the processes of which no look was answered that count if they are replicas, and how many others there
// are: strangers'. Whose a process is, and whether it is in a service, is told without waiting for it.
func (f *Finder) mayCount(place *place, pids []int) (counting []int, strangers int) {
	for _, pid := range pids {
		entry, err := openEntry(filepath.Join(f.proc(), strconv.Itoa(pid)))
		if err != nil {
			continue // it has ended
		}
		if place.users.stranger(entry.user(place.ids)) && entry.service() == "" {
			strangers++
		} else {
			counting = append(counting, pid)
		}
		entry.close()
	}
	return counting, strangers
}

func noAnswer(limits limits) string {
	return fmt.Sprintf("could not be looked at within %s: this host is busy, or something that it uses, such as a mount, does not answer", limits.answer)
}

// errBusy says that a look at a process, of an earlier time, still goes on.
var errBusy = errors.New("an earlier look has not ended")

// once runs look, unless one at the same process still goes on.
func (f *Finder) once(pid int, look func()) {
	f.mu.Lock()
	busy := f.busy[pid]
	f.busy[pid] = true
	f.mu.Unlock()
	if busy {
		return
	}
	look()
	f.mu.Lock()
	delete(f.busy, pid)
	f.mu.Unlock()
}

// glance looks at what a process executes and calls itself, the latter of a stranger's only
// if strangers are asked. While it executes something it has neither for a moment, and is
// looked at again.
func (f *Finder) glance(ctx context.Context, place *place, pid int, strangers bool) glance {
	began := time.Now()
	for attempt := 1; ; attempt++ {
		seen, err := f.glanceOnce(place, pid, strangers)
		last := attempt >= unnamedMax
		if errors.Is(err, errAbsent) {
			last = time.Since(began) >= absentWait
		}
		if !errors.Is(err, errUnsettled) || last || sleep(ctx, absentPause) != nil {
			return seen
		}
	}
}

func (f *Finder) glanceOnce(place *place, pid int, strangers bool) (glance, error) {
	seen := glance{pid: pid}
	entry, id, err := f.open(pid)
	if err != nil {
		return seen, err
	}
	defer entry.close()
	seen.executes = place.index(id.inode) >= 0
	if seen.stranger = place.users.stranger(entry.user(place.ids)); seen.stranger {
		seen.service = entry.service() != ""
		if !strangers {
			return seen, nil
		}
	}
	if id.err != nil {
		args, _, err := entry.arguments()
		seen.candidate = place.calls(args.command)
		seen.elsewhere = !seen.candidate && (args.starts() || place.resembles(args)) && !entry.another(args.command)
		seen.forbidden = errors.Is(id.err, fs.ErrPermission) && errors.Is(err, fs.ErrPermission)
		return seen, nil
	}
	path, deleted := id.path()
	command, none, err := entry.command()
	seen.candidate = seen.executes || id.memory() || place.means(path) || place.named(command) ||
		place.related(path) || place.related(command) || f.hasData(place, entry) || deleted && !entry.same("ns/mnt", place.mount)
	if !seen.candidate && (none || err != nil) {
		return seen, errUnsettled
	}
	return seen, nil
}

// hasData reports whether a process is a replica, by its command line, of a data file that belongs to the target.
func (f *Finder) hasData(place *place, entry *entry) bool {
	if len(place.data) == 0 {
		return false
	}
	args, _, err := entry.arguments()
	return err == nil && args.starts() && place.hasName(args.positional)
}

// another reports whether a process that may not be looked into runs from another file of this host by its
// own word: a replica calls itself by its path. In a container the path means something else.
func (e *entry) another(command string) bool {
	if !filepath.IsAbs(command) || knownAt(command) == (inode{}) {
		return false
	}
	text, err := e.text("status")
	return err == nil && !nested(text)
}

// looks looks into the candidates, and adds those that run from the target to the view, and
// what they execute to alive. A stranger's that does not answer proves nothing, unless it is in a service.
func (f *Finder) looks(ctx context.Context, limits limits, place *place, candidates []glance, alive map[executable]bool, view *View) error {
	type looked struct {
		process Process
		key     executable
		err     error
	}
	found, answered, err := bounded(ctx, limits, candidates, func(ctx context.Context, candidate glance) looked {
		seen := looked{err: errBusy}
		f.once(candidate.pid, func() { seen.process, seen.key, seen.err = f.settled(ctx, place, candidate.pid) })
		return seen
	})
	if err != nil {
		return err
	}
	var late, unanswered []int
	elsewhere := 0
	for index, candidate := range candidates {
		switch {
		case answered[index] && errors.Is(found[index].err, errUnanswered):
			unanswered = append(unanswered, candidate.pid)
		case answered[index] && isElsewhere(found[index].err):
			if elsewhere++; elsewhere <= unseenMax {
				view.Unseen = append(view.Unseen, Unseen{Kind: UnseenElsewhere, PID: candidate.pid, Reason: fmt.Sprintf("process %d %v", candidate.pid, found[index].err)})
			}
		case !answered[index], found[index].err != nil && !errors.Is(found[index].err, errGone):
			if !candidate.stranger || candidate.service {
				late = append(late, candidate.pid)
			} else {
				view.Skipped++
			}
		case found[index].err == nil:
			view.Processes = append(view.Processes, found[index].process)
			alive[found[index].key] = true
		}
	}
	if more := elsewhere - unseenMax; more > 0 {
		view.Unseen = append(view.Unseen, Unseen{Kind: UnseenElsewhere, Reason: fmt.Sprintf("%d more processes may be replicas of this target that run from elsewhere", more)})
	}
	slices.Sort(late)
	view.Unseen = append(view.Unseen, summarize(UnseenNoAnswer, late, noAnswer(limits))...)
	slices.Sort(unanswered)
	view.Unseen = append(view.Unseen, summarize(UnseenNoAnswer, unanswered, "calls itself by a path that is not followed: "+errUnanswered.Error())...)
	return nil
}

func isElsewhere(err error) bool {
	_, elsewhere := errors.AsType[*elsewhereError](err)
	return elsewhere
}

func sleep(ctx context.Context, pause time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// open holds a process, or another of its threads where the first has ended, and says
// what it executes. The error is errGone, or errAbsent for one that has no executable
// though it has not ended.
func (f *Finder) open(pid int) (*entry, identity, error) {
	path := filepath.Join(f.proc(), strconv.Itoa(pid))
	held, err := openEntry(path)
	if err != nil {
		return nil, identity{}, errGone
	}
	id, err := held.identify()
	if err == nil {
		return held, id, nil
	}
	defer held.close()
	state, err := held.status()
	if err != nil || state.kernel || state.ended {
		return nil, identity{}, errGone
	}
	tasks, err := os.Open(filepath.Join(path, "task"))
	if err != nil {
		return nil, identity{}, errAbsent
	}
	defer tasks.Close()
	names, _ := tasks.Readdirnames(threadsMax) // those that were read before an error
	for _, name := range names {
		thread, err := openEntry(filepath.Join(path, "task", name))
		if err != nil {
			continue
		}
		if id, err := thread.identify(); err == nil {
			id.started = state.started
			return thread, id, nil
		}
		thread.close()
	}
	return nil, identity{}, errAbsent
}
