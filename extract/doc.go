// Package extract takes executables out of multiversion binaries: a past
// release out of the pack, or the current one, as the linker made it before header
// and body were added; of a universal file, the one for an architecture.
//
// A release comes as a stream whose checksum is known beforehand and compared at
// its end: a caller that writes it to a file keeps the file only when Copy returned
// nil. The package writes no file itself, but for [Run], which makes a temporary one.
//
// [Exec] runs a release in place of the calling process as upstream's replicas do it.
package extract
