package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/term"
)

// errNotHeard says that what tbctl prints reaches nobody any more, as when ssh lost its
// connection.
var errNotHeard = errors.New("its reader is gone, as when the connection is lost")

// heard refuses to change anything after standard output or standard error lost its
// reader: the operator has seen the command fail by then.
func (a *app) heard(context.Context) error {
	for _, stream := range []struct {
		name string
		w    io.Writer
	}{{"standard output", a.std.out}, {"standard error", a.std.err}} {
		if term.ReaderLost(stream.w) {
			err := fmt.Errorf("%s: %w", stream.name, errNotHeard)
			return &hints.Error{Of: fault.Interrupted, Hint: "run the same command again: nothing was changed", Err: err}
		}
	}
	return nil
}
