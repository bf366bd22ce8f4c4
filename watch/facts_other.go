//go:build !linux

package watch

import (
	"os"
	"runtime"
)

// checksMode is false where files have no execute permission.
const checksMode = runtime.GOOS != "windows"

func factsOf(info os.FileInfo) Facts {
	return Facts{Mode: Mode(info.Mode().Perm()), Size: info.Size(), Mtime: info.ModTime().UTC()}.named()
}
