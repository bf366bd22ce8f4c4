// Package vfs is the file system as tbctl sees it: open directories, open files and what
// an entry is. [OS] is the operating system's; package memfs has one in memory that
// forgets what was not synced, for tests of crashes and faults.
//
// It also says where a path leads, see [Resolve], opens a file that was named, see [OpenFile],
// reads it block by block, see [ReadBlocks], and says what entries and errors mean on file systems
// that lack something: modes, links, inode numbers.
package vfs
