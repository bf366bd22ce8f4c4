//go:build linux

package torture

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// helperCareless replaces a file as other tools do: args are the source, the
// target, and what it forgets, "file", "directory" or "nothing".
func helperCareless(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("careless: %d arguments", len(args))
	}
	source, target, forgets := args[0], args[1], args[2]
	data, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	staged, err := os.OpenFile(target+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = staged.Write(data)
	if forgets != "file" {
		err = errors.Join(err, staged.Sync())
	}
	if err := errors.Join(err, staged.Close()); err != nil {
		return err
	}
	if err := os.Rename(target+".new", target); err != nil || forgets == "directory" {
		return err
	}
	dir, err := os.Open(filepath.Dir(target))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
