package main

import (
	"fmt"

	"github.com/tbctl/tbctl/replica"
)

// leaveOut says how to leave out the processes that may not be looked into, after another hint.
func leaveOut(unseen []replica.Unseen) string {
	const flagsMax = 5
	flags := ""
	for _, each := range unseen[:min(len(unseen), flagsMax)] {
		if each.Kind == replica.UnseenForbidden && each.PID != 0 {
			flags += fmt.Sprintf(" --ignore-process %d", each.PID)
		}
	}
	return ignoring(flags)
}

// ignoring says when processes are to be left out by these flags, after another hint; "" without any.
func ignoring(flags string) string {
	if flags == "" {
		return ""
	}
	return "; or, if that is no replica of this cluster, leave it out:" + flags
}
