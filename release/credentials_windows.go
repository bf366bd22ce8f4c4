package release

import "io/fs"

// secret refuses nothing: who may read a file does not stand in its mode here.
func secret(fs.FileInfo) error { return nil }
