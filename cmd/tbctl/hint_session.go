package main

import "github.com/tbctl/tbctl/fleet"

// hintFenced is about a target that a rollout holds.
func (a *app) hintFenced(err *fleet.FencedError) string {
	if err.Reason != fleet.ReasonRollout {
		return "tbctl fleet status shows who has it"
	}
	return "wait for its end: --wait 30m; or, if it is to be changed all the same: " + a.typedWith("--despite-rollout")
}
