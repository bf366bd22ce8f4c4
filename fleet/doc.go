// Package fleet has the vocabulary and the rules of a rollout over many hosts: the
// inventory, and the fence that keeps every controller but one from changing a host.
// It is pure: no input or output, no clock, no network.
package fleet
