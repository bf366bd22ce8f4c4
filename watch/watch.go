package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"time"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

const (
	intervalDefault = time.Second

	// gapMax is the time between two looks that notices cause, or less if the
	// interval is short: a file that is being written causes thousands of them.
	gapMax          = 50 * time.Millisecond
	gapsPerInterval = 20

	// saidMax is how many reasons why replicas may not be seen are told.
	saidMax = 64
)

// Options say how to follow a binary. The zero value is right for use.
type Options struct {
	// Interval is the time between two looks. 0 stands for a second, as replicas do.
	Interval time.Duration

	// pollOnly does without the kernel's notices.
	pollOnly bool

	// binaryOnly does not look for replicas.
	binaryOnly bool

	// Running is the release to judge binaries for as long as no replica is
	// found. 0 stands for none in particular: then a good file is accepted.
	Running multiversion.Release

	// Patience is how long [Until] goes on without any progress of a replica: one that starts
	// or changes its release, is armed, or has its data at the next one. 0 stands for
	// as long as the context lives.
	Patience time.Duration

	// Calm is for how long what [Until] waits for must hold after a replica has ended: one that crashes and is
	// started again runs for a moment each time. 0 stands for five seconds.
	Calm time.Duration

	// Replicas says how replicas are found.
	Replicas replica.Options
}

func (o Options) calm() time.Duration { return cmp.Or(o.Calm, 5*time.Second) }

func (o Options) check() error {
	if o.Interval < 0 {
		return fmt.Errorf("watch: interval %s, want none or more than 0", o.Interval)
	}
	if o.Patience < 0 {
		return fmt.Errorf("watch: patience %s, want none or more than 0", o.Patience)
	}
	return nil
}

// Watch follows the binary at path, which need not exist, and the replicas that
// run from it. It starts with an event for the binary as it is and one for each
// replica there, and goes on until the loop is left or with the error that ends it: the
// context's, or that processes could not be listed. A file that is no good is an
// event, not an error.
func Watch(ctx context.Context, path string, options Options) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w, err := newWatcher(path, options)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer w.close()
		for {
			events, err := w.step(ctx)
			for _, event := range events {
				if !yield(event, nil) {
					return
				}
			}
			if err == nil {
				err = w.wait(ctx, new(patience))
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
		}
	}
}

// watcher holds what Watch and Until know.
type watcher struct {
	binary    binary
	finder    *replica.Finder // nil: replicas are not looked for
	processes []replica.Process
	unseen    []replica.Unseen
	byName    bool            // see [replica.View]
	said      map[string]bool // the reasons in unseen that were events
	tracker   tracker
	notices   *notices
	polling   error // why there are no notices, until it was said
	ticker    *time.Ticker
	gap       time.Duration
	looked    time.Time // when the last look began
	ended     time.Time
}

func newWatcher(path string, options Options) (*watcher, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	interval := options.Interval
	if interval == 0 {
		interval = intervalDefault
	}
	w := &watcher{binary: binary{path: path, running: options.Running}, said: make(map[string]bool), notices: &notices{}, ticker: time.NewTicker(interval)}
	w.gap = min(interval/gapsPerInterval, gapMax)
	if !options.binaryOnly {
		w.finder = replica.NewFinder(path, options.Replicas)
	}
	if !options.pollOnly {
		w.notices, w.polling = listen(path)
	}
	return w, nil
}

func (w *watcher) close() {
	w.ticker.Stop()
	w.notices.close()
}

// wait waits until it is time to look again, for the last time if the patience is over. The
// error is the context's.
func (w *watcher) wait(ctx context.Context, patience *patience) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-w.ticker.C:
		return nil
	case <-patience.ended():
		patience.over = true
		return nil
	case <-w.notices.arrived:
	}
	timer := time.NewTimer(w.gap - time.Since(w.ended))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// step looks at everything once. Events may come with an error.
func (w *watcher) step(ctx context.Context) ([]Event, error) {
	var events []Event
	w.looked = time.Now()
	defer func() { w.ended = time.Now() }()
	if w.polling != nil {
		events = append(events, Event{Kind: KindPolling, Path: w.binary.path, Reason: w.polling.Error(), Err: w.polling})
		w.polling = nil
	}
	changes, err := w.replicas(ctx)
	if err != nil {
		return w.stamp(events), err
	}
	event, err := w.binary.look(ctx, w.processes)
	if event != nil {
		events = append(events, *event)
	}
	return w.stamp(append(events, changes...)), err
}

func (w *watcher) stamp(events []Event) []Event {
	for index := range events {
		events[index].Time = w.looked
	}
	return events
}

// replicas finds the processes, and returns an event for each change.
func (w *watcher) replicas(ctx context.Context) ([]Event, error) {
	if w.finder == nil {
		return nil, nil
	}
	found, err := w.finder.Find(ctx)
	if errors.Is(err, replica.ErrNotSupported) {
		w.finder = nil
		return []Event{{Kind: KindUnseen, Path: w.binary.path, Reason: err.Error(), Err: err}}, nil
	}
	if err != nil {
		return nil, err
	}
	w.processes, w.unseen, w.byName = found.Processes, found.Unseen, found.ByName
	var events []Event
	for _, unseen := range found.Unseen {
		if !w.said[unseen.Reason] && len(w.said) < saidMax {
			w.said[unseen.Reason] = true
			events = append(events, Event{Kind: KindUnseen, Path: w.binary.path, Reason: unseen.Reason})
		}
	}
	return append(events, w.tracker.changes(w.binary.path, w.processes, found.Unseen)...), nil
}
