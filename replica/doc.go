// Package replica finds the TigerBeetle replicas of this host that run from a
// binary at a given path, and says what each of them needs of the next binary there.
//
// # What tells what
//
// A replica that was started runs the file itself. When it changes its release it
// executes a copy in memory (a memfd with a known name) and keeps the path on disk as
// its argv[0]. It holds another such memfd open: a verified copy of the last file that
// it accepted. That is what it is armed with, and what it will execute when the
// cluster upgrades, whatever stands at the path by then.
//
//	/proc/PID/exe      the file, or the memfd that it executed
//	/proc/PID/fd/N     the memfd that it is armed with
//	/proc/PID/cmdline  the path on disk, the subcommand, the data file
//	the data file      the release of the last checkpoint
//
// A past release executes from the memfd as a plain executable that does not say
// which release it is. Its checksum does: it stands in the pack that it was taken from.
//
// # Who is a replica
//
// A process can call itself what it likes, so that what it executes decides:
//
//  1. The very file at the target or beside it, as TARGET-old, or one that the kernel says
//     was there: everyone who executes that runs from the target.
//  2. A memory file of a replica's name, or a file that was moved away, with an argv[0] that
//     leads to the target, in the root directory of the process. The file that was moved away
//     must be a multiversion binary, or be in the pack of the target or of the file beside it.
//  3. Anything else that calls itself like the target is [OriginClaimed], and no replica.
//
// A replica that runs from another file is another target's, whatever that file holds: a host may have several copies of
// one release. Two things say that it may be the target's all the same: the file that it executes, or calls itself
// by, has the target's size and time and is in a file system that may show the target (FUSE, overlay, one of a network), or
// its data file is one of [Options].DataFiles. It is told in [View].Unseen, unless it is a stranger's.
//
// The user counts, too, as our user namespace has him, whichever the process is in. Root, this process's user, accounts
// of the system, the owners of the target and of its directory, and those in [Options] are believed, and so is who has one
// of those data files open to write: he could ruin it as well. Everyone else is a stranger, who
// can read and execute the target, and so can make a process that looks like
// a replica in all but one thing: what it executes is, or was, the target. For a stranger rule 2
// asks for a memory file, too, that its release is one which the target or the file beside it
// holds; his data file is read if it is his or he has it open; and of what he needs only
// such releases are to be believed, see [View].Held. Package host does that.
//
// # Who counts
//
// A replica counts, for what is waited for and for what is needed, if its user is believed, or if it is a
// stranger's in a service or a container of the system, see [Process.Counts]: a service may well have the user id
// of a person. That is told by its cgroup, below system.slice, machine.slice or a container engine's: a user
// can move a process into his own slice alone. What cron, at or sshd start for a user stays in their service,
// though, so that the kernel must also say that no login led to the process (/proc/PID/loginuid): it keeps that
// for good, and only root can clear it. Without systemd and containers, or from within a container, where
// cgroups are told from its own, such a replica is a stranger's. Its files are read as a stranger's in any case.
//
// # How it is looked at
//
// Whoever runs a process chooses what its links lead to. Looking takes links first, which
// waits for nothing, then what the system knows of a file without asking a server for it.
// A file is opened when it is known to matter, and then held first without opening it, so that
// no device and no pipe is. What is read of a process is bounded, and so is the time that it
// may take: what does not answer is told as [UnseenNoAnswer].
//
// Strangers come last and have less time, but for those in services, which no other stranger can make. How many were left
// out is told in [View].Skipped. Of theirs no path is followed that the system does
// not know already, neither with them nor here, and nothing is read but from memory, from local file systems that are
// mounted here and from the target's: a system call that waits for a stranger's mount cannot be ended, not even
// by SIGKILL. Nor is anything waited for a lease on what a process has. A stranger's process that does not answer
// proves nothing, whatever it executes: it hinders nothing that is planned or waited for.
//
// # What is judged
//
// [Find] and [Finder] read and judge nothing. [Accepts] is a pure function over what
// was found: whether a replica would accept a binary.
//
// Reading another user's processes needs root or CAP_SYS_PTRACE, and so does reading
// one's own if their binary has file capabilities. What of a process could not be read is said in
// Process.Unreadable; why there may be processes that were not seen at all, in [View].Unseen. Of a process that
// may not be looked into only the command line is known. One that says that it runs from the target is told as
// [OriginUnknown]; one that is a replica by its command line and calls itself by a path that is no other file here is
// told in [View].Unseen: the path may be the target's in a container.
package replica
