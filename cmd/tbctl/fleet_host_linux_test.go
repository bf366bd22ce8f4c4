package main

import (
	"os"
	"time"
	_ "unsafe" // for go:linkname
)

// replicaNamespace is the namespace of processes that package replica takes for the one that no process is outside of.
//
//go:linkname replicaNamespace github.com/tbctl/tbctl/replica.initialPIDNamespace
var replicaNamespace string

// This program runs on the hosts of package testhost too, which are namespaces: there nothing is outside of the first process's.
func init() {
	if text := os.Getenv("TESTING_PACE"); text != "" { // of this program alone
		if look, err := time.ParseDuration(text); err == nil {
			rolloutPace = pace{look, look}
		}
	}
	if _, err := os.Stat("/run/tbctl-test-host"); err != nil {
		return
	}
	if namespace, err := os.Readlink("/proc/1/ns/pid"); err == nil {
		replicaNamespace = namespace
	}
}
