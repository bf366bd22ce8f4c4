package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
)

// No ordinary file is written over what a replica runs from, its data file, or what is read, not even where tbctl has never
// installed, and with --force.
func TestLiveOutput(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	file := l.binary("0.17.7", "0.17.6")
	l.start(standin.Options{})
	binary, data := l.read(l.target), l.read(l.data)
	l.tbctl("extract", file, "0.17.6", "-o", l.target, "-f").ends(4, "is what a replica runs from", "tbctl install FILE "+l.target)
	l.tbctl("extract", file, "0.17.6", "-o", l.data, "-f").ends(4, "is a TigerBeetle data file", "choose another name")
	l.tbctl("extract", file, "0.17.6", "-o", file, "-f").ends(4, "is what is read", "tbctl install FILE "+file)
	l.tbctl("fleet", "report", filepath.Join(l.dir, "none.json"), "-o", l.target, "-f").ends(4, "is what a replica runs from", "choose another name")
	if !bytes.Equal(l.read(l.target), binary) || !bytes.Equal(l.read(l.data), data) {
		t.Error("it was replaced")
	}
	l.tbctl("extract", file, "0.17.6", "-o", filepath.Join(l.dir, "plain")).ends(0)
}
