package durable

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
)

const (
	nameMark   = ".tbctl-"
	kindTemp   = "temp" // .NAME.tbctl-temp-RANDOM: a file in the making
	randomSize = 8      // bytes
)

// HiddenPrefix is what the names of all files begin with that tbctl makes beside the file called name.
// An operator knows by it that they are tbctl's.
func HiddenPrefix(name string) string { return "." + name + nameMark }

// RandomName returns a new name for a file of a kind beside one called name.
func RandomName(name, kind string) string {
	var random [randomSize]byte
	_, _ = rand.Read(random[:]) // never fails
	return HiddenPrefix(name) + kind + "-" + hex.EncodeToString(random[:])
}

// IsRandomName reports whether [RandomName] may have made the name of an entry.
func IsRandomName(name, kind, entry string) bool {
	text, found := strings.CutPrefix(entry, HiddenPrefix(name)+kind+"-")
	random, err := hex.DecodeString(text)
	return found && err == nil && len(random) == randomSize
}
