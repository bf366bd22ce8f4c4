// Package torture is the proof of docs/durability.md: its tests run the real tbctl
// as a process and do to it what happens to hosts.
//
//   - faults: every system call of an operation that changes something fails with
//     every error, before and after it took effect, once and from then on; or
//     writes less than asked for; or the process is killed just before or after it
//   - signals, closed pipes, sources that stall
//   - power cuts after every such call, on ext4, XFS and btrfs, with two negative
//     controls that show that the test would see a missing fsync
//   - full, read-only, noexec and immutable places, other users, symbolic links
//   - capabilities, ACLs, labels and owners
//   - many installations at once, and a watcher that looks like a replica does
//
// A quick, sampled run takes less than a minute:
//
//	go test ./torture
//
// and a full one some minutes, more if others are busy. It wants Linux on x86-64, root, and loop devices; each test
// skips and says why where it cannot run:
//
//	TORTURE=full go test -timeout 60m -v ./torture
//
// It ends with a table of what was tried.
package torture
