// Package engine speaks with tbctl-engines, a program of its own for machines that control rollouts: it has what needs other
// people's code, such as etcd's client, so that tbctl itself needs none of it. It is started with the one
// argument session and spoken to as a host is, HTTP/2 on its standard input and output, by both ends of this package:
// [Start] and [Session].
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/state"
)

const (
	// Name is the program's, and its package's.
	Name = "tbctl-engines"
	// Protocol is what both ends must speak. It becomes another one when one of them would not understand the other.
	Protocol = 1

	// Argument is what the program is started with.
	Argument = "session"

	pathHello   = "/v1/hello"
	pathOpen    = "/v1/state/open"
	pathGet     = "/v1/state/get"
	pathSwap    = "/v1/state/swap"
	pathList    = "/v1/state/list"
	pathHold    = "/v1/state/hold"
	pathRelease = "/v1/state/release"
	pathHolders = "/v1/state/holders"

	requestSizeMax = 1 << 20
	answerSizeMax  = 32 << 20 // of a list
	lineSizeMax    = 64 << 10
)

// hello is what the program says of itself.
type hello struct {
	Protocol int    `json:"protocol"`
	Version  string `json:"version"`
}

type openRequest struct {
	Where string `json:"where"`
}

type keyRequest struct {
	Key      string `json:"key"`
	Value    []byte `json:"value,omitempty"`
	Revision int64  `json:"revision,omitempty"`
	Who      string `json:"who,omitempty"`
}

type valueAnswer struct {
	Value    []byte `json:"value"`
	Revision int64  `json:"revision"`
}

type listAnswer struct {
	Entries []state.Entry  `json:"entries,omitempty"`
	Holders []state.Holder `json:"holders,omitempty"`
}

// holdLine is a line of the answer to a request for a hold: the first says that there is one, the last how it ended.
type holdLine struct {
	ID       string       `json:"id,omitempty"`
	Holder   state.Holder `json:"holder,omitzero"`
	Lost     string       `json:"lost,omitempty"` // why it is lost, or could not be given back
	Released bool         `json:"released,omitempty"`
}

// failure is the answer in place of the one that was asked for.
type failure struct {
	Class   fault.Class   `json:"class"`
	Code    string        `json:"code,omitempty"` // of [codes]
	Message string        `json:"message"`
	Holder  *state.Holder `json:"holder,omitempty"` // who has the key
}

// codes are errors that are the same at both ends.
var codes = map[string]error{
	"oci": ErrOCI, "oci-reference": ErrOCIReference, "oci-digest": ErrOCIDigest, "oci-missing": ErrOCIMissing, "oci-denied": ErrOCIDenied, "oci-login": ErrOCILogin,
	"oci-away": ErrOCIAway, "oci-moved": ErrOCIMoved, "plain": ErrPlain, "authority": ErrAuthority, "ca-file": ErrCAFile, "silent": ErrSilent,
	"stale": state.ErrStale, "key": state.ErrKey, "too-many": state.ErrTooMany, "value": state.ErrValue, "closed": state.ErrClosed,
	"tuf-metadata": ErrTUFMetadata, "tuf-expired": ErrTUFExpired, "tuf-older": ErrTUFOlder, "tuf-mixed": ErrTUFMixed, "tuf-unsigned": ErrTUFUnsigned,
	"tuf-long": ErrTUFLong, "tuf-root": ErrTUFRoot, "tuf-no-root": ErrTUFNoRoot, "tuf-kept": ErrTUFKept, "tuf-others": ErrTUFOthers, "tuf-target": ErrTUFTarget, "tuf-other": ErrTUFOther, "tuf-missing": ErrTUFMissing, "tuf-away": ErrTUFAway,
}

// failureOf is what the other end is told of an error.
func failureOf(err error) failure {
	said := failure{Class: fault.Of(err), Message: err.Error()}
	if said.Class == fault.Unknown { // of no target of a host
		said.Class = fault.Failed
	}
	for code, known := range codes {
		if errors.Is(err, known) {
			said.Code = code
		}
	}
	if held, is := errors.AsType[*state.HeldError](err); is {
		said.Holder = &held.Holder
	}
	return said
}

// err is the error that was told.
func (f *failure) err() error {
	if f.Holder != nil {
		return &state.HeldError{Holder: *f.Holder}
	}
	return &AnswerError{*f}
}

// AnswerError is what the program answers in place of what was asked for.
type AnswerError struct{ said failure }

func (e *AnswerError) Error() string { return e.said.Message }

// Class is what the program says.
func (e *AnswerError) Class() fault.Class { return e.said.Class }

// Is reports whether it is an error of package state, or of this one.
func (e *AnswerError) Is(target error) bool {
	return e.said.Code != "" && codes[e.said.Code] == target || target == context.Canceled && e.said.Class == fault.Interrupted
}

// readAnswer reads what came, or the failure.
func readAnswer(response *http.Response, answer any) error {
	text, err := io.ReadAll(io.LimitReader(response.Body, answerSizeMax+1))
	switch {
	case err != nil:
		return err
	case len(text) > answerSizeMax:
		return fmt.Errorf("an answer of more than %d bytes", answerSizeMax)
	case response.StatusCode == http.StatusOK:
		return fault.JSON(json.Unmarshal(text, answer))
	}
	var said failure
	if err := json.Unmarshal(text, &said); err != nil || said.Class == fault.None {
		return fmt.Errorf("an answer with status %d that is none", response.StatusCode)
	}
	return said.err()
}
