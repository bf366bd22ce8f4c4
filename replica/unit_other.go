//go:build !linux

package replica

// OwnUnit is the system's service that this process is in: only Linux has them.
func OwnUnit() string { return "" }
