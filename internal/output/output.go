// Package output writes an executable as an ordinary file: never where tbctl has installed one or a replica has its own, in one step, and not at all where
// the same bytes are there already. Nothing runs from such a file yet; what is installed is fsatomic's.
package output

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/vfs"
)

// mode is that of a file that is to be executed.
const mode vfs.Mode = 0o755

// InstalledError says that the name is that of a binary which tbctl has installed, or which a replica executes. A file that is
// written there would have neither the checks nor the lock and the way back of an installation.
type InstalledError struct {
	Path    string
	Process int // of a replica; 0: tbctl has installed it
}

func (e *InstalledError) Error() string {
	if e.Process != 0 {
		return fmt.Sprintf("%s is what a replica runs from, process %d", e.Path, e.Process)
	}
	return e.Path + " is where tbctl installs"
}

func (e *InstalledError) Class() fault.Class { return fault.Refused }

// KeptError says that the name is that of a file which tbctl keeps: beside a target, in its store, or in its state directory.
type KeptError struct {
	Path string
	For  string // the target, or the directory
}

func (e *KeptError) Error() string      { return e.Path + " is kept by tbctl for " + e.For }
func (e *KeptError) Class() fault.Class { return fault.Refused }

// InputError says that the name is that of a file which the command reads: no other copy of it may be there.
type InputError struct{ Path string }

func (e *InputError) Error() string      { return e.Path + " is what is read, and would be replaced" }
func (e *InputError) Class() fault.Class { return fault.Refused }

// DataFileError says that the name is that of a replica's data file.
type DataFileError struct{ Path string }

func (e *DataFileError) Error() string      { return e.Path + " is a TigerBeetle data file" }
func (e *DataFileError) Class() fault.Class { return fault.Refused }

// Check refuses a name of a file that no ordinary one may replace: one that tbctl has installed or a replica executes, one that it keeps beside a target or
// in its own directories, a data file, and one of the inputs of the command. The error is an [*InstalledError], a [*KeptError], a [*DataFileError],
// an [*InputError], or the context's. What cannot be seen from here is not refused.
func Check(ctx context.Context, name string, own []string, inputs ...string) error {
	there, err := vfs.Stat(name)
	if err != nil || !there.Mode().IsRegular() {
		return nil //nolint:nilerr // nothing is there to be replaced, or writing says what is wrong
	}
	if fsatomic.WasTarget(vfs.OS(), name) {
		return &InstalledError{Path: name}
	}
	if target := fsatomic.KeptFor(vfs.OS(), name); target != "" {
		return &KeptError{name, target}
	}
	if real, err := filepath.EvalSymlinks(name); err == nil {
		for _, dir := range own {
			if isWithin(real, dir) {
				return &KeptError{name, dir}
			}
		}
	}
	for _, input := range inputs {
		if read, err := vfs.Stat(input); err == nil && os.SameFile(there, read) {
			return &InputError{name}
		}
	}
	if isDataFile(name) {
		return &DataFileError{name}
	}
	view, _ := replica.Find(ctx, name, replica.Options{})
	for index := range view.Processes {
		if process := &view.Processes[index]; process.Counts() {
			return &InstalledError{name, process.PID}
		}
	}
	return ctx.Err()
}

// isWithin reports whether a file lies in a directory, which need not be there, or below it.
func isWithin(file, dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	if file, err = filepath.Abs(file); err != nil {
		return false
	}
	rest, err := filepath.Rel(dir, file)
	return err == nil && filepath.IsLocal(rest)
}

// isDataFile reports whether a file begins as a data file does.
func isDataFile(name string) bool {
	file, err := datafile.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	var zone [datafile.ZoneSize]byte
	n, _ := file.ReadAt(zone[:], 0)
	return datafile.Looks(zone[:n])
}

// Write writes a file that is to be executed, in one step: with an error nothing is at the name that was not there before, but
// for a [*durable.UnsureError]. A file that is there already with the same bytes stays, unless
// force is set. What fits badly is told to warn. Fill may be called twice.
func Write(name string, force bool, warn func(string), fill func(io.Writer) error) (already bool, err error) {
	if !force {
		if already, err = Same(name, fill); err != nil {
			return false, err
		}
		if already {
			checkMode(name, warn)
			return true, nil
		}
	}
	output, err := durable.Create(vfs.OS(), name, mode, force)
	if err != nil {
		return false, err
	}
	if err := fill(output); err != nil {
		_ = output.Abort() // the next Create of the name removes what stays
		return false, err
	}
	return false, commit(output, warn)
}

// Same reports whether a file is at the name that has the bytes with which fill fills it. What cannot be read is another file.
func Same(name string, fill func(io.Writer) error) (bool, error) {
	there, err := input.Open(name)
	if err != nil {
		return false, nil //nolint:nilerr // whatever is there, it is not in the way of an answer
	}
	defer there.Close()
	draft, err := durable.NewDraft(there, there.Size(), func() (durable.Store, error) { return nil, fs.ErrExist })
	if err == nil {
		err = fill(draft)
	}
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil && draft.Whole(), err
}

// commit puts a file at its name. One that cannot be given its mode, as on a FAT file
// system, is good all the same.
func commit(output *durable.Output, warn func(string)) error {
	if err := output.Commit(); err != nil {
		return err
	}
	if err := output.ModeErr(); err != nil {
		warn(fmt.Sprintf("%s: its mode could not be set (%v): chmod +x it where it is used", output.Path(), errors.Unwrap(err)))
	}
	return nil
}

// checkMode warns of a file that stays as it is and is not executable.
func checkMode(name string, warn func(string)) {
	if info, err := vfs.Stat(name); err == nil && info.Mode()&0o100 == 0 && runtime.GOOS != "windows" {
		warn(name + " is not executable: chmod +x it where it is used")
	}
}
