//go:build !linux

package vfs

// Mark is for Linux alone.
func (f *osFile) Mark(int64) error { return ErrNotSupported }

// Marked is for Linux alone.
func (f *osFile) Marked(int64) (bool, error) { return false, ErrNotSupported }
