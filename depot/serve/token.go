package serve

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tbctl/tbctl/vfs"
)

const (
	tokenSizeMin = 16
	tokenSizeMax = 4 << 10 // of the file
)

var (
	errToken     = errors.New("it must have 16 printable characters at least, and no blanks")
	errTokenSize = fmt.Errorf("it has more than %d bytes: no token is that long", tokenSizeMax)
)

// ReadToken reads a token from a file that is root's or this user's, and nobody else's to read.
func ReadToken(name string) (string, error) {
	text, err := readSecret(name)
	if err != nil {
		return "", err
	}
	text = bytes.TrimSpace(text)
	if len(text) < tokenSizeMin || strings.ContainsFunc(string(text), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errToken
	}
	return string(text), nil
}

// readSecret reads a small file that nobody else may read.
func readSecret(name string) ([]byte, error) {
	name, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	fsys := vfs.OS()
	text, info, err := vfs.ReadSmall(fsys, name, tokenSizeMax)
	switch {
	case errors.Is(err, vfs.ErrTooLarge):
		return nil, errTokenSize
	case err != nil:
		return nil, err
	case runtime.GOOS == "windows":
	case info.UID != 0 && info.UID != fsys.Self().UID:
		return nil, fmt.Errorf("it belongs to user %d", info.UID)
	case info.Mode&0o077 != 0:
		return nil, fmt.Errorf("others may read or write it: its mode is %s", info.Mode)
	}
	return text, nil
}
