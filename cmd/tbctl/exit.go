package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tbctl/tbctl/report"
)

// exitCode is what tbctl tells scripts. The table is docs/exit-codes.md.
type exitCode int

const (
	exitDone        exitCode = 0   // done, or already so
	exitFailed      exitCode = 1   // failed; the target is as it was
	exitUsage       exitCode = 2   // the command line or the configuration is wrong
	exitRejected    exitCode = 3   // the artifact is rejected; nothing has changed
	exitRefused     exitCode = 4   // it does not fit what is installed or running; nothing has changed
	exitBusy        exitCode = 5   // somebody else is at it; nothing has changed
	exitUnknown     exitCode = 6   // the state on disk is not known
	exitInterrupted exitCode = 130 // a signal or a lost connection; the target is whole
)

func (c exitCode) kind() string {
	switch c {
	case exitDone:
		return "done"
	case exitUsage:
		return "usage"
	case exitRejected:
		return "rejected"
	case exitRefused:
		return "refused"
	case exitBusy:
		return "busy"
	case exitUnknown:
		return "unknown-state"
	case exitInterrupted:
		return "interrupted"
	}
	return "failed"
}

// failure is an error as the user sees it.
type failure struct {
	code    exitCode
	quiet   bool // for a person
	message string
	hint    string
	detail  any
}

// document is the failure as --json shows it.
func (f failure) document() *report.Error {
	return &report.Error{Kind: f.code.kind(), Message: f.message, Hint: f.hint, Detail: f.detail}
}

// commandError is an error that a command has already judged.
type commandError struct {
	code  exitCode
	hint  string
	quiet bool // there is nothing to tell a person
	err   error
}

func (e *commandError) Error() string { return e.err.Error() }
func (e *commandError) Unwrap() error { return e.err }

// rejected makes an error about the artifact.
func rejected(hint string, err error) error {
	return &commandError{code: exitRejected, hint: hint, err: err}
}

// classify finds an error's exit code and hint in the table.
func classify(a *app, err error) failure {
	if err == nil {
		return failure{code: exitDone}
	}
	var child *childError
	if errors.As(err, &child) {
		return failure{code: exitCode(child.code)}
	}
	result := failure{code: exitFailed, message: err.Error()}
	for _, entry := range errorTable {
		if code, hint, detail, ok := entry(a, err); ok {
			result.code, result.hint, result.detail = code, hint, detail
			break
		}
	}
	var judged *commandError
	if errors.As(err, &judged) {
		if result.code != exitUnknown && (result.code != exitInterrupted || judged.code == exitUnknown) {
			result.code = judged.code
		}
		if judged.hint != "" {
			result.hint = judged.hint
		}
		result.quiet = judged.quiet
	}
	if result.hint == "" && result.code == exitFailed {
		result.hint = a.hintOtherwise(err)
	}
	result.hint = a.about.in(result.hint)
	return result
}

// hintOtherwise is for failures that nothing is known of but what the system says.
func (a *app) hintOtherwise(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) && errors.Is(err, fs.ErrNotExist) {
		return "check the name: ls -ld " + shellWord(filepath.Dir(path.Path))
	}
	return strings.Join(strings.Fields("tbctl "+a.command+" --help"), " ")
}

// errorEntry tells the exit code and the hint of the errors that it knows.
type errorEntry func(a *app, err error) (code exitCode, hint string, detail any, ok bool)

// errorTable is asked from the top. What leaves the state of the disk unknown
// comes first, so that no later cause hides it.
var errorTable = []errorEntry{
	entryUnknown, entryInterrupted, entryBusy, entryNetwork, entryHost, entryRefused, entryRejected, entryScratch, entryPlan, entryFile, entrySource, entryOther,
}

func entryInterrupted(a *app, err error) (exitCode, string, any, bool) {
	if cause := interrupted(a.ctx); cause != nil && (errors.Is(err, context.Canceled) || errors.Is(err, cause)) {
		if a.command == "watch" { // the usual end
			return exitInterrupted, "", nil, true
		}
		return exitInterrupted, "run the same command again: nothing is half done", nil, true
	}
	if errors.Is(err, syscall.EPIPE) {
		return exitInterrupted, "nobody read the answer: run it again", nil, true
	}
	return 0, "", nil, false
}
