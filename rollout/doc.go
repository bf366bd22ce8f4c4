// Package rollout carries a plan out over many hosts: it looks at all of them, asks the rules of package
// fleet what is to be done, does it, and looks again, until nothing is left to do.
//
// What is remembered between two looks is only what cannot be seen: which artifacts were hashed and checked on which host in
// this run, and since when a cluster has been stable. All else is seen each time, so that another run of the same
// plan goes on where this one ended, wherever that was.
package rollout
