package main

import (
	"errors"
	"io"
	"runtime"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
)

// executableMode is the mode of a file that is to be executed.
const executableMode vfs.Mode = 0o755

// writeExecutable writes an ordinary file that is to be executed, in one step.
func (a *app) writeExecutable(name string, force bool, fill func(io.Writer) error) error {
	output, err := durable.Create(vfs.OS(), name, executableMode, force)
	if err != nil {
		return err
	}
	if err := fill(output); err != nil {
		_ = output.Abort() // the next Create of the name removes what stays
		return err
	}
	return a.commit(output)
}

// commit puts a file at its name. One that cannot be given its mode, as on a FAT file
// system, is good all the same.
func (a *app) commit(output *durable.Output) error {
	if err := output.Commit(); err != nil {
		return err
	}
	if err := output.ModeErr(); err != nil {
		a.warn("%s: its mode could not be set (%v): chmod +x it where it is used", output.Path(), errors.Unwrap(err))
	}
	return nil
}

// tellMode warns of a file that stays as it is and is not executable.
func (a *app) tellMode(name string) {
	if info, err := vfs.Stat(name); err == nil && info.Mode()&0o100 == 0 && runtime.GOOS != "windows" {
		a.warn("%s is not executable: chmod +x it where it is used", name)
	}
}
