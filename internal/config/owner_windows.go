package config

import "io/fs"

// ownerOf is 0: files have no such number here.
func ownerOf(fs.FileInfo) int { return 0 }

// groupOf is 0 as well.
func groupOf(fs.FileInfo) int { return 0 }
