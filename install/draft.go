package install

import (
	"io"

	"github.com/tbctl/tbctl/fsatomic"
)

// draft is where the new file's bytes go before they are verified.
type draft interface {
	io.Writer
	io.ReaderAt
	Resetter
	Size() int64
}

// stagedDraft is the draft of a real run: a staged file beside the target,
// made anew when the fetch must start again.
type stagedDraft struct {
	lock   *fsatomic.Lock
	target fsatomic.Target
	size   int64
	staged *fsatomic.Staged
}

func (d *stagedDraft) Write(data []byte) (int, error) { return d.staged.Write(data) }

func (d *stagedDraft) ReadAt(data []byte, offset int64) (int, error) {
	return d.staged.ReadAt(data, offset)
}

func (d *stagedDraft) Size() int64 { return d.staged.Size() }

// Reset removes the staged file and makes another.
func (d *stagedDraft) Reset() error {
	if err := d.abort(); err != nil {
		return err
	}
	staged, err := fsatomic.Stage(d.lock, d.target, d.size)
	d.staged = staged
	return err
}

func (d *stagedDraft) abort() error { return d.staged.Abort() }
