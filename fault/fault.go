// Package fault says what an error means to the one who has to act on it: its class.
//
// An error says its class where it is made, since only there it is known whether the file at the target can
// have changed, and whether the artifact or the way to it is to blame. It does so with a method Class, or as
// a sentinel made by [New]. What wraps an error to say where it happened says nothing of a class.
//
// Everything that follows from a class asks [Of], and so gives the same answer: the exit code, the result in
// the history, the kind in a JSON document.
package fault

import (
	"context"
	"errors"
	"iter"
	"slices"
)

// Class is what an error means. Its text is the kind in a JSON document.
type Class string

// The classes. Only with Unknown the target may be another one than before.
const (
	None        Class = ""              // no error
	Failed      Class = "failed"        // it did not work, and another try may: the network, permissions, space
	Usage       Class = "usage"         // what was asked for makes no sense, and no try will change that
	Rejected    Class = "rejected"      // the artifact is damaged, not trusted, or not what was asked for
	Refused     Class = "refused"       // the artifact does not fit what is installed, what runs, or this host
	Busy        Class = "busy"          // another process works on it, or changed it at the same moment
	Unknown     Class = "unknown-state" // which file is there, or whether it lasts, cannot be said
	Fenced      Class = "fenced"        // a rollout holds it, or another run of it or a newer one has it
	Interrupted Class = "interrupted"   // the caller ended it before it was done
)

// Classes returns the classes that an error may have.
func Classes() []Class {
	return []Class{Failed, Usage, Rejected, Refused, Busy, Unknown, Fenced, Interrupted}
}

// Of returns the class of an error: None for nil, otherwise
//
//  1. Unknown, if any error in it says so: nothing that was said later can make the state known;
//  2. Interrupted, if any error in it says so or is [context.Canceled]: what else went wrong went wrong because of it;
//  3. what the outermost error says that says anything, of joined errors the first one;
//  4. Failed, if none says anything. So it is with [context.DeadlineExceeded]: a limit is no interruption.
//
// An error about something of less weight than the target, as the history is, does not unwrap to one that
// says Unknown.
func Of(err error) Class {
	if err == nil {
		return None
	}
	said := None
	interrupted := errors.Is(err, context.Canceled)
	for each := range All(err) {
		classed, ok := each.(interface{ Class() Class })
		if !ok {
			continue
		}
		switch class := classed.Class(); {
		case class == Unknown:
			return Unknown
		case class == Interrupted:
			interrupted = true
		case said == None:
			said = class
		}
	}
	switch {
	case interrupted:
		return Interrupted
	case said == None:
		return Failed
	}
	return said
}

// worst are the classes, the worst first.
var worst = []Class{Unknown, Fenced, Rejected, Refused, Failed, Busy, Interrupted, Usage, None}

// Worst is the class by which that of several hosts is told: what is not known on one is worse than what was refused on
// another. Of none it is None.
func Worst(classes ...Class) Class {
	for _, class := range worst {
		if slices.Contains(classes, class) {
			return class
		}
	}
	return None
}

// All returns an error and all that it wraps, the outermost first, in the order in which [errors.Is] looks.
func All(err error) iter.Seq[error] {
	return func(yield func(error) bool) { walk(err, yield) }
}

func walk(err error, yield func(error) bool) bool {
	if err == nil {
		return true
	}
	if !yield(err) {
		return false
	}
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		return walk(wrapper.Unwrap(), yield)
	case interface{ Unwrap() []error }:
		for _, each := range wrapper.Unwrap() {
			if !walk(each, yield) {
				return false
			}
		}
	}
	return true
}

// New returns an error of a class, as [errors.New] does: each is equal to itself alone.
func New(class Class, text string) error { return &sentinel{class, text} }

type sentinel struct {
	class Class
	text  string
}

func (e *sentinel) Error() string { return e.text }
func (e *sentinel) Class() Class  { return e.class }
