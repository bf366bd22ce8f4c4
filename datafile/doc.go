// Package datafile reads the superblock of a TigerBeetle data file: above all
// the release that a binary must hold so that the data can be opened with it.
//
// # The layout
//
// A data file starts with four copies of the superblock, one every 24,576
// bytes. Each is a header of 8192 bytes and some space:
//
//	0       checksum of the bytes from 34 on, so that all copies carry the same
//	32      the number of the copy
//	34      version of the layout: 1 (releases 0.15.0 to 0.16.25), 2, or 0 for a development build
//	36      the release that formatted the file
//	40      sequence: one more with each superblock written
//	…       cluster, replica, view, and the state as of the last checkpoint
//	644/708 checkpoint.release, for version 1 and version 2
//
// A replica writes the copies one after the other, in place. What counts is the
// superblock with the highest sequence that two different copies agree on: the
// rule by which a replica opens its data file.
//
// # Reading a file in use
//
// Nothing here locks or writes. A replica that is writing can leave a reader
// with copies that don't agree yet; such a reading is tried again a few times
// before it is an error.
package datafile
