// Package objcopy rebuilds ELF and PE executables the way llvm-objcopy does,
// byte for byte, for the three things that upstream's build asks of it:
//
//	Normalize  llvm-objcopy --enable-deterministic-archives IN OUT
//	Add        … --keep-undefined --add-section .tb_mvb=BODY --set-section-flags .tb_mvb=contents,noload,readonly
//	               --add-section .tb_mvh=HEADER --set-section-flags .tb_mvh=contents,noload,readonly IN OUT
//	Remove     … --keep-undefined --remove-section .tb_mvb --remove-section .tb_mvh IN OUT
//
// The build replaces the header once its checksum is known, by removing the section and
// adding it again. Nothing else moves, as header and body are the last sections, so that
// Add with the other header is the same.
//
// For any file that Normalize accepts, Normalize of the result, and Remove of the
// result of Add, give that result again: the checksum of the current executable in
// a multiversion header is that of the normalized file.
//
// # The result
//
// A result is an [Image], a virtual file made of stretches of the readers that it
// was built from and of rewritten tables. Nothing of the executable or of the body
// is held in memory, only headers and symbol and string tables, which [SymbolsSizeMax]
// and [StringsSizeMax] bound. The readers must stay open and unchanged for as long as the image is used.
//
// # What a rebuilt file keeps
//
// ELF: segments keep their order and contents, and each moves to the first offset
// behind the one before that its alignment allows, which is where linkers put it.
// Sections inside a segment move with it; all others follow behind the last segment
// in the order of their offsets. String tables that are not loaded are built
// anew, with each string once and as the tail of another where it can be; symbols stay,
// local ones first. The section header table ends the file. Bytes that belong
// to no segment and no section are gone.
//
// PE: sections keep their addresses and their order. Their raw data is cut to their
// virtual size, padded and laid out without gaps, so that the offsets in the debug
// directory change too. The symbol and string tables follow. The image's checksum is
// cleared, and bytes after the last section are gone.
//
// A result can have more sections than upstream's reader takes: see multiversion.Locate.
//
// # Versions
//
// The behaviour is that of LLVM 18, which upstream's build uses. Versions 14, 16 and
// 19 gave the same bytes in all comparisons. Version 22 differs in one thing: in the
// string table of a PE image it puts the section names of more than 8 bytes before the names of
// symbols, which concerns images with DWARF sections or a symbol table. Where versions are
// known to differ in what executables hardly ever have, the input is refused.
//
// # Refusals
//
// The input is hostile: every number in it is compared with the file's size or a named
// maximum. What cannot be rebuilt exactly is refused with a [LayoutError] that says why,
// and never rebuilt approximately. llvm-objcopy itself refuses some executables: GNU ld's
// static ones have loaded relocations against a symbol table that is not.
package objcopy
