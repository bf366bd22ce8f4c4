package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/report"
)

// exitCode is what tbctl tells scripts. What to do about each is in docs/exit-codes.md.
type exitCode int

const (
	exitDone        exitCode = 0
	exitFailed      exitCode = 1
	exitUsage       exitCode = 2
	exitRejected    exitCode = 3
	exitRefused     exitCode = 4
	exitBusy        exitCode = 5
	exitUnknown     exitCode = 6
	exitFenced      exitCode = 7
	exitInterrupted exitCode = 130
)

// exits is the table of exit codes: the class of an error, which is its kind in a document, and what the manual
// says of it.
var exits = [...]struct {
	class   fault.Class
	code    exitCode
	meaning string
}{
	{fault.None, exitDone, "Done, or it was so already."},
	{fault.Failed, exitFailed, "Failed. The target is as it was, unless the message says otherwise."},
	{fault.Usage, exitUsage, "The command line or the configuration is wrong."},
	{fault.Rejected, exitRejected, "The artifact is rejected: damaged, not what was asked for, or not trusted. Nothing has changed."},
	{fault.Refused, exitRefused, "The artifact does not fit what is installed or running. Nothing has changed."},
	{fault.Busy, exitBusy, "Another process works on the target. Nothing has changed."},
	{fault.Unknown, exitUnknown, `The state on the disk is not known: "tbctl status TARGET" finds out.`},
	{fault.Fenced, exitFenced, "A rollout holds the target, or another run of it or a newer one has it. Nothing has changed."},
	{fault.Interrupted, exitInterrupted, "Interrupted by a signal or a lost connection. The target is whole."},
}

// codeOf is a class's exit code.
func codeOf(class fault.Class) exitCode {
	for _, exit := range exits {
		if exit.class == class {
			return exit.code
		}
	}
	return exitFailed
}

// exitHelp is the end of a long help text: the exit codes that the command
// has beside 0, 1, 2 and 130. It takes pairs of a code and what it stands for.
func exitHelp(pairs ...any) string {
	pairs = slices.Concat([]any{exitDone, "done, or already so", exitFailed, fault.Failed, exitUsage, fault.Usage}, pairs, []any{exitInterrupted, fault.Interrupted})
	text := "\nExit codes:\n\n"
	for pair := range slices.Chunk(pairs, 2) {
		text += fmt.Sprintf("  %3d  %s\n", pair...)
	}
	return text
}

// failure is an error as the user sees it.
type failure struct {
	class   fault.Class
	code    exitCode
	quiet   bool // for a person
	message string
	hint    string
	detail  any
}

// document is the failure as --json shows it.
func (f failure) document() *report.Error {
	return &report.Error{Kind: string(f.class), Message: f.message, Hint: f.hint, Detail: f.detail}
}

// classify says what an error is to the user.
func classify(a *app, err error) failure {
	class := fault.Of(err)
	if child, ok := errors.AsType[*childError](err); ok {
		return failure{class: class, code: exitCode(child.code)}
	}
	result := failure{class: class, code: codeOf(class)}
	if err == nil {
		return result
	}
	result.message = err.Error()
	result.hint, result.detail = a.known().Explain(err, class)
	if told, ok := errors.AsType[*hints.Error](err); ok {
		result.quiet = told.Quiet
	}
	return result
}

// usage makes an error about the command line.
func usage(hint, format string, args ...any) error { return hints.Usage(hint, format, args...) }

// failed makes an error of which neither the artifact nor the cluster is to blame.
func failed(hint string, err error) error {
	return &hints.Error{Of: fault.Failed, Hint: hint, Err: err}
}

// rejected makes an error about the artifact.
func rejected(hint string, err error) error {
	return &hints.Error{Of: fault.Rejected, Hint: hint, Err: err}
}

// refused makes an error about what is installed, running or given.
func refused(hint string, err error) error {
	return &hints.Error{Of: fault.Refused, Hint: hint, Err: err}
}
