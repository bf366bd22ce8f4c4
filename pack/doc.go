// Package pack builds multiversion binaries: it puts past executables and a
// header into the executable of a current release, as upstream's build does.
//
// What goes into the pack comes either from a past multiversion binary, or,
// for the first one that there ever is (the epoch), from plain executables:
//
//	past binary   [ …, past i, past j, past k ][ its own current executable ]
//	                            |                         |
//	                     its newest three        its sections removed, visit set
//	                            |                         |
//	new binary    [ current executable ][ body: i, j, k, old current ][ header ]
//
// A debug build takes the old current executable alone. Executables for Linux
// and Windows get two more sections (package internal/objcopy), those for macOS
// go into a universal file with six entries.
//
// Two checksums make a build need several passes over its input: the whole-file
// checksum is that of the finished file with a header of zeros. So a build only
// arranges readers; nothing larger than a header or a section table is held in
// memory, and the bytes are read again when the result is written.
//
// The package writes no file and trusts no input: everything that it takes
// out of a past binary is compared with that binary's checksums.
package pack
