// Package install puts one multiversion binary in the place of another: plan,
// stage, verify, commit, record; and back.
//
// # The steps
//
// [Installer.Install] looks at the target and what stands there, and finds all that
// hinders an installation before the first byte is fetched. Under the target's lock
// it clears away what an interrupted run left, fetches the new file into the
// target's own directory, verifies what is on the disk through the descriptor, judges
// whether it may replace the installed one, writes its intent into the journal,
// commits (see package fsatomic for the order of the disk's operations), reads the
// installed file back, compares its SHA-256, and records the outcome.
//
// A dry run makes the same plan with a scratch file in the place of the staged one,
// without a lock and without a change.
//
// # What holds
//
// At every moment there is a whole, executable binary at the target: the old one
// before the swap, the new one after it. An error other than a
// [*fsatomic.UnknownStateError], [*fsatomic.SyncError] or [*ReadBackError] means that the
// target is untouched. The lock file beside it stays. After a crash the journal has an intent without an outcome, and the next
// command that holds the lock looks at the disk and completes the record.
//
// The package knows no network: a [Fetch] writes the bytes.
package install
