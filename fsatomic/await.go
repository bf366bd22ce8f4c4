package fsatomic

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
)

// AwaitFree waits for another holder of the target's lock as [Acquire] does, for one who
// changes nothing and so takes no lock. Errors: a [durable.BusyError], those of [HeldBy], or the
// context's.
func AwaitFree(ctx context.Context, fsys vfs.FS, target Target, wait time.Duration) error {
	deadline := time.Now().Add(wait)
	pause := lockPollFirst
	for {
		holder, held, err := HeldBy(fsys, target)
		if err != nil || !held {
			return err
		}
		busy := &durable.BusyError{Path: filepath.Join(target.dirPath(), lockName(target.base())), Holder: holder}
		if wait >= 0 && !time.Now().Add(pause).Before(deadline) {
			return &fs.PathError{Op: "lock", Path: target.Path, Err: busy}
		}
		if err := sleep(ctx, pause); err != nil {
			return &fs.PathError{Op: "lock", Path: target.Path, Err: fmt.Errorf("%w: %w", busy, err)}
		}
		pause = min(2*pause, lockPollLongest)
	}
}
