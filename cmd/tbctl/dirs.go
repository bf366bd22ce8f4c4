package main

import (
	"os"
	"os/user"
	"path/filepath"
)

// stateDir is where the history is: what was asked for, /var/lib/tbctl for
// root, and the user's state directory for others.
func (a *app) stateDir() string {
	if a.global.StateDir != "" {
		return a.global.StateDir
	}
	return a.ownDir("/var/lib/tbctl", "XDG_STATE_HOME", ".local/state")
}

// cacheDir is where interrupted downloads are kept.
func (a *app) cacheDir() string {
	return a.ownDir("/var/cache/tbctl", "XDG_CACHE_HOME", ".cache")
}

// ownDir is the system's directory for root, and one below the variable or the
// home directory for others.
func (a *app) ownDir(system, variable, home string) string {
	if os.Geteuid() == 0 {
		return system
	}
	if base := a.getenv(variable); filepath.IsAbs(base) {
		return filepath.Join(base, "tbctl")
	}
	if base := a.getenv("HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, home, "tbctl")
	}
	if current, err := user.Current(); err == nil && filepath.IsAbs(current.HomeDir) {
		return filepath.Join(current.HomeDir, home, "tbctl")
	}
	// Never a directory that others can write to: what is found in this one is believed.
	return system
}
