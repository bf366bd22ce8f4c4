package config

import (
	"os"
	"os/user"
	"path/filepath"
)

// SystemState is where root's history is.
const SystemState = "/var/lib/tbctl"

// StateDir is where the history is: /var/lib/tbctl for root, and the user's state directory for others.
func StateDir(getenv func(string) string) string {
	return ownDir(getenv, SystemState, "XDG_STATE_HOME", ".local/state")
}

// CacheDir is where interrupted downloads are kept.
func CacheDir(getenv func(string) string) string {
	return ownDir(getenv, "/var/cache/tbctl", "XDG_CACHE_HOME", ".cache")
}

// ownDir is the system's directory for root, and one below the variable or the
// home directory for others.
func ownDir(getenv func(string) string, system, variable, home string) string {
	if os.Geteuid() == 0 {
		return system
	}
	if base := getenv(variable); filepath.IsAbs(base) {
		return filepath.Join(base, "tbctl")
	}
	if base := Home(getenv); base != "" {
		return filepath.Join(base, home, "tbctl")
	}
	// Never a directory that others can write to: what is found in this one is believed.
	return system
}

// Home is this user's home directory, absolute: the one that HOME names, or that of the list of users where nothing names one, as for a service;
// "": there is none.
func Home(getenv func(string) string) string {
	if base := getenv("HOME"); filepath.IsAbs(base) {
		return base
	}
	if current, err := user.Current(); err == nil && filepath.IsAbs(current.HomeDir) {
		return current.HomeDir
	}
	return ""
}
