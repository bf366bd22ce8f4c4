// Package remote has both ends of a session with a host. A session is a program such as
// ssh whose standard input and output are the two directions of one connection, and
// HTTP/2 with prior knowledge on it: no port, no daemon, and no protocol of our own. Each end
// finds out by HTTP/2's pings that the other one is gone, also when a process is stopped or a
// network silent, within [SilenceMax].
//
// On the host the session is one process, and ends with it.
package remote
