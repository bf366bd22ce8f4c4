package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
)

// completeInterrupted completes the record of an operation that was interrupted: we hold the lock,
// so it is not under way. What is on the disk is the truth.
func (r *run) completeInterrupted(ctx context.Context) error {
	record := r.state.settle(r.plan.Installed)
	if record == nil {
		return nil
	}
	record.Time = time.Now().UTC()
	record.Target = r.target.Path
	record.Error = fmt.Sprintf("interrupted; completed by process %d from what is on the disk", r.record.PID)
	if !r.stateOurs {
		record.leaveOut(r.plan.Installed)
		record.Error += fmt.Sprintf(", and from what is recorded there, although %s: who began it, how and from what is left out", r.stateWriters)
	}
	if record.Result == ResultFoundNew {
		r.lowerOld()
	}
	if err := r.storeState(); err != nil {
		return fmt.Errorf("complete the record of an interrupted %s: %w", record.Operation, err)
	}
	r.outcome.Recovered = []Record{*record}
	r.log(ctx, *record)
	if record.Result == ResultFoundNew { // the previous file is another than the plan saw
		return r.look(ctx)
	}
	return nil
}

// Interrupted is an operation whose outcome nobody recorded, and what is at its target now.
type Interrupted struct {
	Intent Record `json:"intent"`
	Found  Result `json:"found"`
	Busy   bool   `json:"busy"` // the target's lock is held: it may still be under way

	// Completed is always false: the next command that changes the target completes it.
	Completed bool `json:"completed"`
}

// String says which operation that is, and what was known of it when it ended.
func (i *Interrupted) String() string {
	text := fmt.Sprintf("the outcome of the %s of %s there is not known", i.Intent.Operation, i.Intent.Time.UTC().Format(time.RFC3339))
	if i.Intent.Error != "" {
		text += ": " + i.Intent.Error
	}
	return text
}

// Interrupted returns the operation whose outcome is not known, or nil. there is the file
// at the target, nil for nothing; busy says that the lock is held.
func (s *State) Interrupted(there *File, busy bool) *Interrupted {
	if s.Next == nil {
		return nil
	}
	return &Interrupted{Intent: s.Next.Operation, Found: s.Found(there), Busy: busy}
}

// Interrupted looks at a target for an operation whose outcome is not known, changing
// nothing; nil where there is none. It is returned also with an error that says that this user
// cannot see whether the lock is held.
func (in *Installer) Interrupted(ctx context.Context, name string) (*Interrupted, error) {
	target, err := fsatomic.Lookup(in.FS, name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, vfs.ErrNoDirectory) {
		return nil, nil // and with it all that was known of it
	}
	if err != nil {
		return nil, err
	}
	// Before the file is read, since most often there is nothing to compare it with.
	state, err := in.ReadState(target, nil)
	if err != nil || state.Next == nil {
		return nil, err
	}
	var there *File
	if target.Exists {
		found, err := DescribeSeen(ctx, in.FS, target.Path, target.File)
		if err != nil {
			return nil, err
		}
		there = &found.File
	}
	_, held, err := fsatomic.HeldBy(in.FS, target)
	return state.Interrupted(there, held), err
}
