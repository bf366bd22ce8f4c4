package install

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/verify"
)

// add joins what was seen at two times.
func (s *Seen) add(other Seen) {
	s.DataFiles, s.Named = slices.Concat(s.DataFiles, other.DataFiles), slices.Concat(s.Named, other.Named)
	if other.Reached.Release > s.Reached.Release {
		s.Reached = other.Reached
	}
}

// withNamed counts what was named as seen.
func (s Seen) withNamed() Seen {
	all := Seen{DataFiles: s.DataFiles, Reached: s.Reached}
	for _, named := range s.Named {
		all.add(Seen{DataFiles: []string{named.DataFile}, Reached: named})
	}
	return all
}

// remember adds what was seen. Of too many data files the oldest go; those that are not
// remembered are returned.
func (s *State) remember(seen Seen) (left []string) {
	for _, path := range seen.DataFiles {
		if !memorable(path) {
			left = append(left, path)
			continue
		}
		s.DataFiles = slices.DeleteFunc(slices.Clone(s.DataFiles), func(known string) bool { return known == path })
		s.DataFiles = append(s.DataFiles, path)
	}
	if extra := len(s.DataFiles) - DataFilesMax; extra > 0 {
		left = append(left, s.DataFiles[:extra]...)
		s.DataFiles = slices.Clone(s.DataFiles[extra:])
	}
	if s.further(seen.Reached) {
		reached := seen.Reached
		reached.Time, reached.DataFile = time.Now().UTC(), verify.DataFileName(reached.DataFile)
		s.Reached = &reached
	}
	return left
}

func memorable(path string) bool { return filepath.IsAbs(path) && len(path) <= dataFileSizeMax }

func (s *State) further(reached verify.Reached) bool {
	return reached.Release > 0 && (s.Reached == nil || reached.Release > s.Reached.Release)
}

// news reports whether anything of what was seen is not remembered yet.
func (s *State) news(seen Seen) bool {
	return s.further(seen.Reached) || slices.ContainsFunc(seen.DataFiles, func(path string) bool {
		return memorable(path) && !slices.Contains(s.DataFiles, path)
	})
}

// forget takes out data files, and what was reached with one of them.
func (s *State) forget(dataFiles []string) {
	s.DataFiles = slices.DeleteFunc(slices.Clone(s.DataFiles), func(known string) bool { return slices.Contains(dataFiles, known) })
	if s.Reached != nil && s.Reached.With(dataFiles) {
		s.Reached = nil
	}
}

// ReachedWithout is the newest release that was ever seen, and zero if it was seen in one of the data files that are to be forgotten.
func (s *State) ReachedWithout(forgotten []string) verify.Reached {
	if s.Reached == nil || s.Reached.With(forgotten) {
		return verify.Reached{}
	}
	return *s.Reached
}

// overruled reports whether the operator's word was believed instead of what had been reached.
func (r *run) overruled() bool {
	return r.plan.Fit != nil && slices.ContainsFunc(r.plan.Fit.Findings, func(finding verify.Finding) bool {
		return finding.Name == verify.CheckReached && finding.Status == verify.Remarked
	})
}

// remember notes in the state what this run saw.
func (r *run) remember(seen Seen) {
	for _, path := range r.state.remember(seen) {
		r.warn("the data file %q is not remembered: at most %d, by absolute paths", path, DataFilesMax)
	}
}

// keepSeen remembers what a run that changes nothing saw, and forgets what it was to forget
// unless it failed. Where that cannot be written there is a warning if it failed, and else
// nothing: then nothing was asked for that was not done.
func (r *run) keepSeen(ctx context.Context, failed bool) {
	var err error
	switch {
	case r.outcome.DryRun || r.intent:
		return
	case r.lock == nil:
		if r.target.Path != "" {
			err = r.Remember(ctx, r.target, r.request.Seen)
		}
	case !r.stateRead:
		return
	default:
		seen, forgets := r.request.Seen, !failed && len(r.request.Forget) > 0
		if !failed {
			seen = seen.withNamed()
		}
		if !r.state.news(seen) && !forgets {
			return
		}
		if forgets {
			r.state.forget(r.request.Forget)
		}
		r.remember(seen)
		err = r.storeState()
	}
	if err != nil && failed {
		r.warn("what was seen of the replicas is not remembered: %v", err)
	}
}

// Remember notes with a target what was seen of its replicas, if anything of it is new. It does
// nothing where no state is kept that is to be believed, or another process holds the lock, and waits
// for nobody. The target is as it was looked up when that was seen; in another directory nothing is noted.
func (in *Installer) Remember(ctx context.Context, target fsatomic.Target, seen Seen) error {
	r := &run{Installer: in, target: target}
	if !r.rereadForNews(seen) {
		return nil
	}
	lock, err := fsatomic.Acquire(ctx, in.FS, target, fsatomic.LockOptions{Command: in.Command})
	if errors.Is(err, durable.ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	r.lock = lock
	defer r.close()
	if !r.rereadForNews(seen) { // another was at it before the lock
		return nil
	}
	r.state.remember(seen)
	return r.storeState()
}

// rereadForNews reads the state as it is now, and reports whether anything is to be added to it.
func (r *run) rereadForNews(seen Seen) bool {
	text, _, err := fsatomic.ReadState(r.FS, r.target)
	if err == nil {
		r.state, err = parseState(text)
	}
	return err == nil && r.state.news(seen)
}
