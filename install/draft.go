package install

import (
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
)

// draft is where the new file's bytes go before they are verified.
type draft struct {
	*durable.Draft
	installed vfs.File // what they are compared with; nil: nothing is
}

// newDraft makes the draft: compared with the installed file where that may be the one
// that is asked for.
func (r *run) newDraft() (*draft, error) {
	d := &draft{}
	var err error
	if !r.mayBeInstalled() {
		d.Draft, err = durable.NewDraft(nil, 0, r.openStore)
		return d, err
	}
	if d.installed, err = openPath(r.FS, r.target.Path); err != nil {
		return d, err
	}
	if err = r.isTarget(d.installed); err == nil {
		d.Draft, err = durable.NewDraft(d.installed, r.target.File.Size, r.openStore)
	}
	return d, err
}

// openStore opens what keeps the bytes of a file that is not the installed one.
func (r *run) openStore() (durable.Store, error) {
	switch {
	case r.hindered != nil:
		return nil, r.hindered
	case r.outcome.DryRun:
		scratch, err := fsatomic.ScratchBeside(r.FS, r.target, r.request.SizeHint)
		if err != nil {
			return nil, err
		}
		return scratch, nil
	}
	staged, err := fsatomic.Stage(r.lock, r.target, r.request.SizeHint)
	if err != nil {
		return nil, err
	}
	return staged, nil
}

// seal is called when all has come and before it is judged. The beginning of the
// installed file is another file than it, and is stored if that is possible.
func (d *draft) seal() error {
	if d.Store() == nil && !d.Whole() && d.Err() == nil {
		if err := d.Keep(); err != nil {
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
	staged, _ := d.Store().(*fsatomic.Staged)
	return staged
}

// letGo closes the installed file. A file that is renamed over while it is open is gone for
// a moment, or stays under another name, on some network file systems.
func (d *draft) letGo() {
	if d.installed != nil {
		_ = d.installed.Close() // it was only read
		d.installed = nil
	}
}

// close ends the use of the draft. What was committed stays. The error names what could not be removed.
func (d *draft) close() error {
	d.letGo()
	if d.Draft == nil {
		return nil
	}
	return d.Abort()
}

// left warns of a file that could not be removed again.
func (r *run) left(err error) {
	if err != nil {
		r.warn("%v: it is left, and the next operation on the target removes it", err)
	}
}
