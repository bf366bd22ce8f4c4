//go:build linux

package replica

// StarveStrangers takes the time that strangers' processes get, until restore is called.
func StarveStrangers() (restore func()) {
	before := strangerLimits
	strangerLimits.all = 1
	return func() { strangerLimits = before }
}
