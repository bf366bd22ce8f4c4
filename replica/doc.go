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
// # What is judged
//
// [Find] and [Finder] read and judge nothing. [Accepts] is a pure function over what
// was found: whether a replica would accept a binary.
//
// Reading another user's processes needs root or CAP_SYS_PTRACE, and so does reading
// one's own if their binary has file capabilities. What could not be read is said in
// Process.Unreadable. A /proc that is mounted with
// hidepid hides processes without a trace. A process can call itself what it likes: what
// it says without proof can make the next binary be refused, never be accepted.
package replica
