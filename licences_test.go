package tbctl

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// TestLicences requires that the licences of what is compiled into tbctl are those of the
// modules that it is compiled with now.
func TestLicences(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil || runtime.GOOS == "windows" {
		t.Skip("skipped: needs bash, and a file system with its line ends")
	}
	want, err := exec.Command("bash", "packaging/licences.sh").Output()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("THIRD_PARTY_LICENSES")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("THIRD_PARTY_LICENSES is not current (%v): bash packaging/licences.sh >THIRD_PARTY_LICENSES", err)
	}
}
