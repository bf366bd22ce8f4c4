package term

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A terminal that hung up is lost, also where its signal is ignored.
func TestReaderLostTerminal(t *testing.T) {
	t.Parallel()
	there, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("skipped: it needs a terminal: %v", err)
	}
	defer there.Close()
	if err := unix.IoctlSetPointerInt(int(there.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(there.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("skipped: it needs a terminal: %v", err)
	}
	defer here.Close()
	if ReaderLost(here) {
		t.Error("it is lost while it is there")
	}
	there.Close()
	if !ReaderLost(here) {
		t.Error("it is not lost after its other end was closed")
	}
}
