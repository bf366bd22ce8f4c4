// Package multiversion is the format of TigerBeetle's multiversion binaries:
// it locates, decodes, validates and encodes, and writes nothing.
//
// # The file
//
// A multiversion binary is a regular executable of the current release with
// two more sections: the body (.tb_mvb), which holds the pack of past
// executables one after the other, oldest first, and the header (.tb_mvh), 8192
// bytes that describe the current release and the pack. In an ELF file they are
// the two last sections, in a PE file they are found by name, and a Mach-O
// universal file carries them as "architectures" of four obsolete CPU types, a
// body and a header for each of its two real architectures:
//
//	ELF    [ executable ............ ][ body: past 0, past 1, … ][ header ][ section table ]
//	PE     [ headers ][ sections ... ][ body                    ][ header ]
//	Mach-O [ fat header ][ arm64 ][ x86_64 ][ body arm64 ][ header arm64 ][ body x86_64 ][ header x86_64 ]
//
// The rules and offsets are those of upstream's src/multiversion.zig. What upstream's
// reader refuses, and what makes it panic, is refused here with a [FormatError]
// that names the [Rule]; nothing that it accepts is refused.
//
// # Trust
//
// [Parse] reads a few KiB whatever the size of the file, and it trusts no number in
// it: offsets and sizes are compared in 64 bits with the file's size, counts meet
// a maximum before memory is taken. It checks the header's own checksum but not the
// file's: that reads everything, see [Binary.ChecksumWithoutHeader] and package verify.
package multiversion
