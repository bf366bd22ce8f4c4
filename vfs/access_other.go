//go:build !linux

package vfs

// GuardedAt is not supported: this system's rights are not only in the mode.
func GuardedAt(string) (Guarded, error) { return Guarded{}, ErrNotSupported }
