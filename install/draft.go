package install

import (
	"errors"
	"io"

	"github.com/tbctl/tbctl/fsatomic"
)

// draft is where the new file's bytes go before they are verified: nowhere for as long as
// they are those of the installed file, and then into a store. So a file that is
// installed already takes no room, and needs no right to write.
type draft struct {
	installed io.ReaderAt // to compare with; nil: nothing is
	size      int64       // of the installed file
	same      int64       // bytes that came and are in the installed file
	store     store       // nil: all that came is in the installed file
	staged    *fsatomic.Staged

	open           func(*draft) (store, error)
	closeInstalled func() error
}

// store keeps bytes in the target's file system.
type store interface {
	io.Writer
	io.ReaderAt
	Size() int64
	discard() error // does nothing to what was committed or discarded
}

// stagedStore is the store of a real run: a staged file beside the target.
type stagedStore struct{ *fsatomic.Staged }

func (s stagedStore) discard() error { return s.Abort() }

// scratchStore is the store of a dry run.
type scratchStore struct{ *fsatomic.Scratch }

func (s scratchStore) discard() error { return s.Close() }

// Write keeps bytes, or finds them in the installed file.
func (d *draft) Write(data []byte) (int, error) {
	if d.store == nil {
		if same, err := d.matches(data); err != nil {
			return 0, err
		} else if same {
			d.same += int64(len(data))
			return len(data), nil
		}
		if err := d.diverge(); err != nil {
			return 0, err
		}
	}
	return d.store.Write(data)
}

// matches reports whether the installed file goes on with data.
func (d *draft) matches(data []byte) (bool, error) {
	if d.installed == nil || int64(len(data)) > d.size-d.same {
		return false, nil
	}
	return sameAt(d.installed, data, d.same)
}

// diverge opens a store for bytes that are not those of the installed file, with those
// that are.
func (d *draft) diverge() error {
	opened, err := d.open(d)
	if err != nil {
		return err
	}
	d.store = opened
	if d.same > 0 {
		_, err = io.Copy(opened, io.NewSectionReader(d.installed, 0, d.same))
	}
	return err
}

// ReadAt reads what came.
func (d *draft) ReadAt(data []byte, offset int64) (int, error) {
	if d.store != nil {
		return d.store.ReadAt(data, offset)
	}
	if d.installed == nil {
		return 0, io.EOF
	}
	return io.NewSectionReader(d.installed, 0, d.same).ReadAt(data, offset)
}

// Size returns how many bytes came.
func (d *draft) Size() int64 {
	if d.store != nil {
		return d.store.Size()
	}
	return d.same
}

// Reset forgets what came.
func (d *draft) Reset() error {
	err := d.discard()
	d.same, d.store, d.staged = 0, nil, nil
	if err == nil && d.installed == nil {
		err = d.diverge()
	}
	return err
}

func (d *draft) discard() error {
	if d.store == nil {
		return nil
	}
	return d.store.discard()
}

// seal is called when all has come and before it is judged. The beginning of the
// installed file is another file than it, and is stored if that is possible.
func (d *draft) seal() error {
	if d.store == nil && d.same < d.size {
		var hindered *PlanError
		if err := d.diverge(); err != nil && !errors.As(err, &hindered) {
			return err
		}
	}
	if d.staged == nil {
		return nil
	}
	return d.staged.Seal()
}

// close ends the use of the draft. What was committed stays.
func (d *draft) close() {
	_ = d.discard() // what stays is removed by the next recovery
	if d.closeInstalled != nil {
		d.closeInstalled()
	}
}

// whole reports whether what came is the whole installed file.
func (d *draft) whole() bool { return d.store == nil && d.installed != nil && d.same == d.size }

// take makes the installed file what came, without anything coming.
func (d *draft) take() { d.same = d.size }

const compareSize = 64 << 10 // bytes compared at a time

// sameAt compares data with what a file has at the offset.
func sameAt(file io.ReaderAt, data []byte, offset int64) (bool, error) {
	buffer := make([]byte, min(len(data), compareSize))
	for len(data) > 0 {
		count, err := file.ReadAt(buffer[:min(len(buffer), len(data))], offset)
		if count == 0 {
			if err == nil || errors.Is(err, io.EOF) { // it has become shorter
				return false, nil
			}
			return false, err
		}
		if string(buffer[:count]) != string(data[:count]) {
			return false, nil
		}
		data, offset = data[count:], offset+int64(count)
	}
	return true, nil
}
