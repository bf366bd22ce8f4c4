// Package kept keeps the list of advisories that a publisher has signed, so that what this machine knows of releases is newer than its tbctl.
//
// It is one file in the state directory: the list as it was published, with what the signed metadata said of it. It is replaced in one durable
// step, and never by a list that is older. It is believed if its SHA-256 is still the one that was signed, and root and this
// user alone may write it: who else could would decide which warnings there are.
package kept

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/vfs"
)

const (
	// Name is the file's, in the state directory.
	Name = "advisories.json"
	// NameRollout is that of the list that came with a rollout's plan.
	NameRollout = "advisories-rollout.json"

	version              = 1
	fileMode    vfs.Mode = 0o644
	dirMode     vfs.Mode = 0o755
	fileSizeMax          = 2*advisory.ListSizeMax + 64<<10 // the list in base64, and the metadata
)

var (
	// ErrDamaged says that what is kept is not what was signed.
	ErrDamaged = fault.New(fault.Failed, "the signed list of advisories that is kept here is damaged")
	// ErrWriters says that others may have written it.
	ErrWriters = fault.New(fault.Refused, "the signed list of advisories that is kept here is not believed")
	// ErrOlder says that a newer list is kept.
	ErrOlder = fault.New(fault.Refused, "a newer list of advisories is kept here")
)

// file is what is kept.
type file struct {
	Version int          `json:"version"`
	Signed  depot.Signed `json:"signed"`
	List    []byte       `json:"list"` // as it was published

	// Of a rollout's: who brought it as he says, the user who started tbctl by sudo, and the plan.
	From     string `json:"from,omitempty"`
	SudoUser string `json:"sudo_user,omitempty"`
	Plan     string `json:"plan,omitempty"`
}

// Rollout is the list that came with a rollout's plan.
type Rollout struct {
	List     []byte // as it was published
	Plan     string // sha256:HEX
	From     string // who brought it, as he says
	SudoUser string // who started tbctl on this host, by sudo; "": it was not started by sudo
}

// Who says who brought it.
func (r *Rollout) Who() string {
	if r.SudoUser == "" {
		return r.From
	}
	return r.SudoUser + " (sudo) as " + r.From
}

// Read returns the list that is kept in a state directory; nil: none is. The errors are [ErrDamaged] and [ErrWriters].
func Read(fsys vfs.FS, dir string) (*advisory.List, error) {
	name := filepath.Join(dir, Name)
	f, err := believed(fsys, dir, Name)
	if err != nil || f == nil {
		return nil, err
	}
	l, err := f.list()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, ErrDamaged, err)
	}
	return l, nil
}

// believed reads a file of which nobody else can have written anything; nil: it is not there.
func believed(fsys vfs.FS, dir, base string) (*file, error) {
	f, writers, err := read(fsys, dir, base)
	if err == nil && f != nil && !writers.None() {
		err = fmt.Errorf("%s: %w: %s", filepath.Join(dir, base), ErrWriters, writers)
	}
	return f, err
}

// AddRollout returns a list with that which came with a rollout's plan, while holds says that a rollout of the plan holds a target of this
// machine: it ends with that. Nothing vouches for it here: it adds to what is known, and takes nothing away. With an error, which are those of [Read],
// it is the list as it was.
func AddRollout(fsys vfs.FS, dir string, to *advisory.List, holds func(plan string) bool) (*advisory.List, error) {
	f, err := believed(fsys, dir, NameRollout)
	if err != nil || f == nil {
		return to, err
	}
	l, err := advisory.ParseList(f.List)
	if err == nil && f.Version != version {
		err = fmt.Errorf("it has version %d, and %d is known", f.Version, version)
	}
	if err != nil {
		return to, fmt.Errorf("%s: %w: %w", filepath.Join(dir, NameRollout), ErrDamaged, err)
	}
	if !holds(f.Plan) {
		return to, nil
	}
	rollout := Rollout{From: f.From, SudoUser: f.SudoUser}
	return to.With(l, rollout.Who()), nil
}

// KeepRollout keeps the list that came with a rollout's plan, in place of that of an earlier rollout. The error of what is not a list is
// [advisory.ErrList].
func KeepRollout(fsys vfs.FS, dir string, r Rollout) error {
	if _, err := advisory.ParseList(r.List); err != nil {
		return err
	}
	return write(fsys, dir, NameRollout, file{Version: version, List: r.List, From: r.From, SudoUser: r.SudoUser, Plan: r.Plan})
}

// write replaces a file in one durable step.
func write(fsys vfs.FS, dir, base string, f file) error {
	encoded, err := json.MarshalIndent(f, "", "  ")
	if err == nil {
		err = durable.MkdirAll(fsys, dir, dirMode)
	}
	if err == nil {
		err = durable.WriteFile(fsys, filepath.Join(dir, base), fileMode, true, func(w io.Writer) error {
			_, err := w.Write(append(encoded, '\n'))
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("keep the list of advisories: %w", err)
	}
	return nil
}

// list is what is kept, if it is what was signed.
func (f *file) list() (*advisory.List, error) {
	if f.Version != version {
		return nil, fmt.Errorf("it has version %d, and %d is known", f.Version, version)
	}
	l, err := advisory.ParseList(f.List)
	if err != nil {
		return nil, err
	}
	if sum := l.Edition().SHA256; sum != f.Signed.SHA256 {
		return nil, fmt.Errorf("its SHA-256 is %s, and %.100q was signed", sum, f.Signed.SHA256)
	}
	return l.Signed(f.Signed.Repository), nil
}

// read reads the file, through the directory by which it is found who may write it; nil: it is not there.
func read(fsys vfs.FS, path, base string) (*file, vfs.Writers, error) {
	none := func(err error) (*file, vfs.Writers, error) {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return nil, vfs.Writers{}, err
	}
	dir, err := fsys.OpenDir(path)
	if err != nil {
		return none(err)
	}
	defer dir.Close()
	opened, err := dir.Open(base)
	if err != nil {
		return none(err)
	}
	defer opened.Close()
	info, err := opened.Stat()
	if err != nil {
		return none(err)
	}
	name := filepath.Join(path, base)
	writers, err := vfs.WritersIn(dir, name, &info, fsys.Self())
	if err != nil {
		return none(err)
	}
	text, err := io.ReadAll(io.NewSectionReader(opened, 0, fileSizeMax+1))
	if err != nil {
		return none(err)
	}
	if len(text) > fileSizeMax {
		return nil, writers, fmt.Errorf("%s: %w: it has more than %d bytes", name, ErrDamaged, fileSizeMax)
	}
	f := new(file)
	if err := fault.Unmarshal(text, f); err != nil {
		return nil, writers, fmt.Errorf("%s: %w: %w", name, ErrDamaged, err)
	}
	return f, writers, nil
}

// Keep keeps a list that a repository's metadata vouches for, and returns the one that it takes the place of; nil: the one that is built in. On an
// error what was kept is as it was. One that is newer stays: [ErrOlder]. What is kept and not believed is replaced.
func Keep(fsys vfs.FS, dir string, text []byte, signed depot.Signed) (*advisory.List, error) {
	f := file{Version: version, Signed: signed, List: text}
	l, err := f.list()
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", signed.Target, signed.Repository, err)
	}
	before, err := Read(fsys, dir)
	switch {
	case err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrWriters):
		return nil, fmt.Errorf("read the list of advisories that is kept: %w", err)
	case before != nil && before.Edition().Checked > l.Edition().Checked:
		return before, fmt.Errorf("%w: of %s, and %s has one of %s", ErrOlder, before.Edition().Checked, signed.Repository, l.Edition().Checked)
	case before != nil && before.Edition() == l.Edition():
		return before, nil
	}
	if err := write(fsys, dir, Name, f); err != nil {
		return nil, err
	}
	return before, nil
}
