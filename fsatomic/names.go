package fsatomic

import (
	"crypto/rand"
	"encoding/hex"
	"path/filepath"
	"strconv"
	"strings"
)

// Names beside a target NAME. All of them are hidden and begin alike, so that
// an operator and [Recover] know whose they are.
const (
	nameMark  = ".tbctl-"
	kindLock  = "lock"  // .NAME.tbctl-lock: the lock, never removed
	kindStage = "stage" // .NAME.tbctl-stage-RANDOM: a file in the making
	kindReady = "ready" // .NAME.tbctl-ready-INODE: complete; INODE is its own number
	kindPrev  = "prev"  // .NAME.tbctl-prev-INODE: another link to or copy of the file that INODE replaces
	kindTemp  = "temp"  // .NAME.tbctl-temp-RANDOM: an ordinary file in the making

	oldSuffix   = "-old"
	nameSizeMax = 200 // bytes; with what is added it stays below the 255 of every file system
	randomSize  = 8   // bytes
)

// hiddenPrefix is what the names of all files beside name begin with.
func hiddenPrefix(name string) string { return "." + name + nameMark }

func lockName(name string) string { return hiddenPrefix(name) + kindLock }

func randomName(name, kind string) string {
	var random [randomSize]byte
	_, _ = rand.Read(random[:]) // never fails
	return hiddenPrefix(name) + kind + "-" + hex.EncodeToString(random[:])
}

func inodeName(name, kind string, inode uint64) string {
	return hiddenPrefix(name) + kind + "-" + strconv.FormatUint(inode, 10)
}

// parseName takes apart the name of a file beside the target called name.
// inode is 0 for kinds that carry none. Names that this package did not make
// are not ok.
func parseName(name, entry string) (kind string, inode uint64, ok bool) {
	rest, found := strings.CutPrefix(entry, hiddenPrefix(name))
	if !found {
		return "", 0, false
	}
	kind, number, found := strings.Cut(rest, "-")
	if !found {
		return "", 0, false
	}
	switch kind {
	case kindStage, kindTemp:
		random, err := hex.DecodeString(number)
		return kind, 0, err == nil && len(random) == randomSize
	case kindReady, kindPrev:
		inode, err := strconv.ParseUint(number, 10, 64)
		return kind, inode, err == nil && inode != 0 && strconv.FormatUint(inode, 10) == number
	}
	return "", 0, false
}

// checkName refuses what cannot be the last element of a path of a file.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || len(name) > nameSizeMax || strings.ContainsRune(name, 0) ||
		strings.ContainsRune(name, filepath.Separator) {
		return ErrName
	}
	return nil
}
