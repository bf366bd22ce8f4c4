//go:build !linux

package host

// Steady does nothing: rollouts are done on Linux alone.
func Steady() (warnings []string, err error) { return nil, nil }
