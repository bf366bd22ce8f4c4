package vfs

import "io/fs"

// OwnerOf is 0: files have no such number here.
func OwnerOf(fs.FileInfo) int { return 0 }

// groupOf is 0 as well.
func groupOf(fs.FileInfo) int { return 0 }
