// Package fleet has the vocabulary and the rules of a rollout over many hosts. It is pure: no input or output, no clock,
// no network.
//
// [Draft] makes a [Plan] from an [Inventory], which is the operator's claim, and [Observation]s, which are what the hosts show;
// or it says, all at once, what hinders it. A plan is a file, named by the SHA-256 of its bytes.
//
// [Decide] says what a run does next: of what was seen, and of what only time can tell, a [Memory] that is passed from one
// look of a run to its next. What a run may do on a host is decided there, by the [Fence], see [Claim] and [Match].
//
// A cluster upgrades when enough of its replicas offer a newer release ([UpgradeQuorum]). So all of them are armed but a
// holdback ([Holdback]); while nobody has swapped that, all can be undone, and afterwards nothing.
package fleet
