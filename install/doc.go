// Package install puts one multiversion binary in the place of another: plan,
// stage, verify, commit, record; and back.
//
// # The steps
//
// [Installer.Install] looks at the target and what stands there, and finds all that
// hinders an installation before the first byte is fetched. What is known to be installed
// is not fetched, and what turns out to be while it comes takes no room: then what would
// hinder a change hinders nothing. Under the target's lock
// it clears away what an interrupted run left, fetches the new file into the
// target's own directory, verifies what is on the disk through the descriptor, judges
// whether it may replace the installed one, writes its intent beside the target,
// commits (see package fsatomic for the order of the disk's operations), reads the
// installed file back, compares its checksum, and records the outcome.
//
// A dry run takes the same steps up to the swap, with a scratch file of the same file
// system in the place of the staged one, without a lock and without a change.
//
// # What holds
//
// At every moment there is a whole, executable binary at the target: the old one
// before the swap, the new one after it. An error other than a
// [*fsatomic.UnknownStateError], [*durable.SyncError] or [*ReadBackError] means that the
// target is untouched. The lock file and the state beside it stay.
//
// The state says what was done last, and what is being done: see [State]. After a crash it has
// an intent without an outcome, and the next command that holds the lock looks at the
// disk and completes the record. Everything that must be known is there, so that it does not
// matter who runs which tbctl with which journal: that is a log, and one that cannot be
// written is a warning.
//
// The package knows no network: a [Fetch] writes the bytes.
package install
