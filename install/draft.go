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
	same      int64       // bytes that came and are in the installed file, while nothing is stored

	open   func() (store, error)
	store  store // opened before the first byte comes
	failed error // why it could not be opened
	stored bool  // what came is in the store

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

// begin opens the store, so that what hinders that is known before the first byte. It is
// an error only when the store is needed.
func (d *draft) begin() error {
	d.same, d.stored = 0, false
	d.store, d.failed = d.open()
	if d.installed == nil {
		d.stored = true
		return d.failed
	}
	return nil
}

// Write keeps bytes, or finds them in the installed file.
func (d *draft) Write(data []byte) (int, error) {
	if !d.stored {
		same, err := d.matches(data)
		if err != nil {
			return 0, err
		}
		if same {
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

// diverge goes on in the store, with what came so far.
func (d *draft) diverge() error {
	if d.failed != nil {
		return d.failed
	}
	d.stored = true
	_, err := io.Copy(d.store, io.NewSectionReader(d.installed, 0, d.same))
	return err
}

// ReadAt reads what came.
func (d *draft) ReadAt(data []byte, offset int64) (int, error) {
	if d.stored {
		return d.store.ReadAt(data, offset)
	}
	return io.NewSectionReader(d.installed, 0, d.same).ReadAt(data, offset)
}

// Size returns how many bytes came.
func (d *draft) Size() int64 {
	if d.stored {
		return d.store.Size()
	}
	return d.same
}

// Reset forgets what came.
func (d *draft) Reset() error {
	if err := d.discard(); err != nil {
		return err
	}
	return d.begin()
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
	if !d.stored && d.same < d.size && d.failed == nil {
		if err := d.diverge(); err != nil {
			return err
		}
	}
	if staged := d.staged(); staged != nil {
		return staged.Seal()
	}
	return nil
}

// staged is the staged file with what came; nil if there is none.
func (d *draft) staged() *fsatomic.Staged {
	if stored, is := d.store.(stagedStore); is && d.stored {
		return stored.Staged
	}
	return nil
}

// letGo closes the installed file. A file that is renamed over while it is open is gone for
// a moment, or stays under another name, on some network file systems.
func (d *draft) letGo() {
	if d.closeInstalled != nil {
		_ = d.closeInstalled() // it was only read
		d.closeInstalled = nil
	}
}

// close ends the use of the draft. What was committed stays.
func (d *draft) close() {
	d.letGo()
	_ = d.discard() // what stays is removed by the next recovery
}

// whole reports whether what came is the whole installed file.
func (d *draft) whole() bool { return !d.stored && d.same == d.size }

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
