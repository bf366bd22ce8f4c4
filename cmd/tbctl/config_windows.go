package main

import "io/fs"

const openNonblock = 0

// ownerOf is 0: files have no such number here.
func ownerOf(fs.FileInfo) int { return 0 }
