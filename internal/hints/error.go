package hints

import (
	"fmt"

	"github.com/tbctl/tbctl/fault"
)

// Error is an error of which the one who made it knows what to type next.
type Error struct {
	Of    fault.Class // fault.None: the class of the error in it
	Hint  string
	Quiet bool // there is nothing to tell a person
	Err   error
}

func (e *Error) Error() string      { return e.Err.Error() }
func (e *Error) Unwrap() error      { return e.Err }
func (e *Error) Class() fault.Class { return e.Of }

// Usage makes an error about the command line.
func Usage(hint, format string, args ...any) error {
	return &Error{Of: fault.Usage, Hint: hint, Err: fmt.Errorf(format, args...)}
}
