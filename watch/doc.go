// Package watch follows an installed binary and the replicas that run from it.
//
// # The binary
//
// It does with the binary what a replica does. Once a second, and at once when the
// kernel says that something happened in the directory, it looks at the inode. A
// file that its owner may not execute is refused before anything else. If anything but
// the access time differs from the last look, the file is read, parsed, and its checksum
// verified; then each replica's own situation decides whether it would take it:
//
//	stat ── no u+x ──► BinaryNotMarkedExecutable
//	  │
//	same as before? ──► nothing
//	  │
//	read, parse, checksum ──► FileTooLarge, InvalidELF, ChecksumMismatch, …
//	  │
//	advertisable(running) ──► RunningVersionNotIncluded, NotSuperset
//	  │
//	accepted
//
// The verdicts are upstream's error names where it has one for the case.
//
// # The replicas
//
// That a binary would be taken is not that it was. What a replica is armed with and runs is read
// from the process itself, by package replica; [Until] waits for that. On systems
// where replicas cannot be found, the binary alone is followed.
//
// The newest release always starts, and executes the one that the data file asks for, which
// opens the data file for seconds. What such a process executes and holds means nothing yet:
//
//	replica, if it is new ──► replica_starting ──► replica_running, once it listens
//
// One that a signal has stopped is so until it is continued, and runs nothing meanwhile. Replicas that
// do not count, see package replica, are told of and make no difference.
//
// That it listens is not that it serves: [Until] asks for that, at the replica's own address and
// with the release that runs.
//
// An upgrade over several stops under load takes minutes, and each stop starts every replica
// again. So patience counts from the last time that a replica came further, not from the start.
package watch
