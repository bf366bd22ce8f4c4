//go:build linux && !amd64

package torture

import "errors"

const traceable = false

func helperTrace([]string) error { return errors.New("the tracer knows x86-64 only") }
