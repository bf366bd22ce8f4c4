//go:build !linux

package replica

import "context"

func (f *Finder) find(context.Context) ([]Process, error) { return nil, ErrNotSupported }
