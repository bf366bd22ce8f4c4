//go:build unix && !linux

package limits

// checkThreads has nothing to check here: the limit counts processes.
func checkThreads() error { return nil }
