package main

import "io/fs"

// withoutAtime is what the system says of a file, without the access time.
func withoutAtime(info fs.FileInfo) any { return info.Name() }
