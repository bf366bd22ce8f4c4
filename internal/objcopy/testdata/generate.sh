#!/bin/sh
# Builds the fixtures again: clang and lld 14, gcc 12, mingw-w64 gcc 12.
set -eu
common="-ffile-prefix-map=$PWD=. fixture.c"
lld="clang -fuse-ld=lld -nostdlib -ffreestanding"
$lld --target=x86_64-linux-gnu -static $common -o lld-static-x86_64.elf
$lld --target=aarch64-linux-gnu -static -g $common -o lld-static-debug-aarch64.elf
$lld --target=x86_64-linux-gnu -fPIE -pie -Wl,-E $common -o lld-dynamic-x86_64.elf
$lld --target=x86_64-linux-gnu -static -Wl,--emit-relocs $common -o lld-relocs-x86_64.elf
$lld --target=aarch64-linux-gnu -static -Wl,-z,separate-loadable-segments,-z,max-page-size=4096,-s $common -o lld-aligned-aarch64.elf
gcc -nostdlib -ffreestanding -static -g -gz $common -o gnu-compressed-x86_64.elf
gcc -nostdlib -ffreestanding -fPIE -pie -s -Wl,-z,noseparate-code $common -o gnu-stripped-x86_64.elf
msvc="$lld -Wl,/entry:mainCRTStartup,/subsystem:console,/pdbaltpath:fixture.pdb,/Brepro,/pdb:fixture.pdb"
$msvc --target=x86_64-pc-windows-msvc -g -Wl,/debug $common -o lld-debug-x86_64.exe
$msvc --target=aarch64-pc-windows-msvc -gdwarf -Wl,/debug:dwarf $common -o lld-dwarf-aarch64.exe
x86_64-w64-mingw32-gcc -nostdlib -ffreestanding -g -Wl,-e,mainCRTStartup,--no-insert-timestamp $common -o mingw-x86_64.exe
rm -f fixture.pdb
