package main

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
)

// TestLicences requires that the licences of what is compiled in are those of the modules that it is compiled with now.
func TestLicences(t *testing.T) {
	t.Parallel()
	command := exec.Command("bash", "../../packaging/licences.sh", "tbctl-engines", "engines", "./tbctl-engines")
	want, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../THIRD_PARTY_LICENSES")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("engines/THIRD_PARTY_LICENSES is not current (%v): bash packaging/licences.sh tbctl-engines engines ./tbctl-engines >engines/THIRD_PARTY_LICENSES", err)
	}
}
