// Package objcopy rebuilds ELF and PE executables the way llvm-objcopy does,
// byte for byte, for the four things that upstream's build asks of it:
//
//	Normalize   llvm-objcopy --enable-deterministic-archives IN OUT
//	Add         … --keep-undefined --add-section .tb_mvb=BODY --set-section-flags .tb_mvb=contents,noload,readonly
//	                --add-section .tb_mvh=HEADER --set-section-flags .tb_mvh=contents,noload,readonly IN OUT
//	Remove      … --keep-undefined --remove-section .tb_mvb --remove-section .tb_mvh IN OUT
//	WithHeader  … --keep-undefined --remove-section .tb_mvh --add-section .tb_mvh=HEADER --set-section-flags … IN OUT
//
// For any x that Normalize accepts, Remove(Add(Normalize(x))) is Normalize(x)
// again; the checksum of the current executable in a multiversion header is that of Normalize(x).
//
// # The result
//
// A result is an [Image], a virtual file made of stretches of the readers that it was
// built from and of rewritten tables. Nothing of the executable or of the body
// is held in memory; only symbol, string, section and program header tables are,
// up to named maximums. The readers must stay open and unchanged for as long as the image is used.
//
// # What a rebuilt file keeps
//
// ELF: segments keep their order and contents, and move to the first offset that
// their alignment allows behind the segment before; sections inside a segment move with it; all others
// follow behind the last segment in the order of their offsets. String tables that are not
// loaded are built anew, each string once and as the tail of another where it can be; local symbols come first. The
// section header table ends the file.
//
// PE: sections keep their addresses and their order, their raw data is cut to the virtual
// size and laid out without gaps, the symbol and string tables follow. The
// image's checksum and its certificate table are cleared, and bytes behind the last section are dropped.
//
// The behaviour is that of LLVM 18, which upstream's build uses; versions 14 to 22 agree on
// all executables that they were compared on, but for those named at the tests.
//
// # Refusals
//
// The input is hostile: every number in it is compared with the file's size or a named maximum. What
// cannot be rebuilt exactly is refused with a [LayoutError] that says why, and never rebuilt approximately.
package objcopy
