//go:build !linux

package replica

import "context"

func (f *Finder) find(context.Context) (View, error) { return View{}, ErrNotSupported }
