package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/vfs"
)

// Reason is why the program cannot be used.
type Reason string

// The reasons.
const (
	ReasonMissing Reason = "missing" // it is not installed
	ReasonVersion Reason = "version" // it is of another version, which speaks differently
	ReasonDied    Reason = "died"    // it ended, or does not answer any more
	ReasonFailed  Reason = "failed"  // it could not be started
	ReasonOthers  Reason = "others"  // another user than this one and root may have put it there
)

// Error says why the program cannot be used, or not any more.
type Error struct {
	Reason Reason
	Path   string // of the program; "": it was not found
	Theirs string // its version, where it is another one
	Err    error
}

func (e *Error) Error() string {
	switch e.Reason {
	case ReasonMissing:
		return Name + " is not installed: it is neither beside tbctl nor on the PATH"
	case ReasonVersion:
		text := e.Path + " does not fit this tbctl"
		if e.Theirs != "" {
			text += ": it is of version " + e.Theirs
		}
		return text
	case ReasonDied:
		return fmt.Sprintf("%s has ended: %v", e.Path, e.Err)
	case ReasonOthers:
		return fmt.Sprintf("%s is not started, since another user may decide what it does: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("%s could not be started: %v", e.Path, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Find looks for the program beside this one, and then on the PATH. The first that is there must be the user's or root's, and nobody else's to
// write, as a list of hosts must. When there is none, or it may be another's, the error is an [*Error].
func Find() (string, error) {
	name := Name
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return find("", name)
	}
	return find(filepath.Join(filepath.Dir(self), name), name)
}

// find looks for the program at a place, "" for none, and then on the PATH.
func find(beside, name string) (string, error) {
	var unfit *Error // what is at that place, and cannot be started
	found, err := exec.LookPath(beside)
	if err != nil {
		if _, there := os.Lstat(beside); there == nil {
			unfit = &Error{Reason: ReasonFailed, Path: beside, Err: err}
			if said, is := errors.AsType[*exec.Error](err); is {
				unfit.Err = said.Err
			}
		}
		found, err = exec.LookPath(name)
	}
	switch {
	case err != nil && unfit != nil:
		return "", unfit
	case err != nil:
		return "", &Error{Reason: ReasonMissing, Err: err}
	}
	if why := othersMayWrite(found); why != "" {
		return "", &Error{Reason: ReasonOthers, Path: found, Err: errors.New(why)}
	}
	return found, nil
}

// othersMayWrite says why another user may decide what a program does, or "": by the directory in which its name is, or by the file to which
// that leads.
func othersMayWrite(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err.Error()
	}
	info, err := vfs.Stat(real)
	if err != nil {
		return err.Error()
	}
	return vfs.OthersMayWrite(path, info, os.Geteuid())
}

// Engine is the program, started.
type Engine struct {
	path    string
	session *remote.Session
}

// Open finds the program and starts it.
func Open(ctx context.Context) (*Engine, error) {
	path, err := Find()
	if err != nil {
		return nil, err
	}
	return Start(ctx, path)
}

// Start starts the program at a path, see [Find]. When it cannot be used the error is an [*Error].
func Start(ctx context.Context, path string) (*Engine, error) {
	session, err := remote.Start(ctx, Name, []string{path, Argument})
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		failed := &Error{Reason: ReasonFailed, Path: path, Err: err}
		if lost, is := errors.AsType[*remote.SessionError](err); is && lost.Reason == remote.ReasonOutput {
			failed.Reason = ReasonVersion // it says something, but does not speak
		}
		return nil, failed
	}
	e := &Engine{path, session}
	var theirs hello
	if err = e.ask(ctx, pathHello, struct{}{}, &theirs); err == nil && theirs.Protocol == Protocol {
		return e, nil
	}
	_ = session.Close() // it is of no use
	if said := new(AnswerError); err == nil || errors.As(err, &said) {
		err = &Error{Reason: ReasonVersion, Path: path, Theirs: theirs.Version, Err: err}
	}
	return nil, err
}

// Close ends the program. On nil it does nothing.
func (e *Engine) Close() error {
	if e == nil {
		return nil
	}
	return e.session.Close()
}

// ask asks, and reads the answer.
func (e *Engine) ask(ctx context.Context, path string, question, answer any) error {
	response, err := e.send(ctx, path, question)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return e.ended(ctx, readAnswer(response, answer))
}

func (e *Engine) send(ctx context.Context, path string, question any) (*http.Response, error) {
	text, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	response, err := e.session.RoundTrip(request)
	return response, e.ended(ctx, err)
}

// ended explains the end of the session.
func (e *Engine) ended(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	if lost, is := errors.AsType[*remote.SessionError](err); is {
		return &Error{Reason: ReasonDied, Path: e.path, Err: lost}
	}
	return err
}
