package completions

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds every wait for a shell. It is only reached by a failure.
const patience = time.Minute

// terminal is a shell that runs in a pseudo-terminal of its own.
type terminal struct {
	t       *testing.T
	control *os.File
	home    string // the shell's home directory

	mutex  sync.Mutex
	raw    []byte // the start of an escape sequence
	output []byte // everything since the start, without styling and movements
	read   int    // what of it expect has passed
	grown  chan struct{}
}

// styling are the escape sequences of a VT100, and what pads them.
var styling = regexp.MustCompile("\x1b(\\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>78])|\x0f|\x00")

// startTerminal starts a command in a new pseudo-terminal, 200 columns wide.
func startTerminal(t *testing.T, command *exec.Cmd) *terminal {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("skipped: no pseudo-terminals here: %v", err)
	}
	descriptor := int(control.Fd())
	number, err := unix.IoctlGetInt(descriptor, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(descriptor, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(descriptor, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 200})
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	command.Stdin, command.Stdout, command.Stderr = line, line, line
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	line.Close()
	shell := &terminal{t: t, control: control, grown: make(chan struct{}, 1)}
	ended := make(chan struct{})
	go shell.collect(ended)
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		control.Close()
		<-ended
	})
	return shell
}

// collect reads until nobody has the terminal open any more.
func (s *terminal) collect(ended chan<- struct{}) {
	defer close(ended)
	buffer := make([]byte, 4096)
	for {
		count, err := s.control.Read(buffer)
		s.mutex.Lock()
		s.raw = append(s.raw, buffer[:count]...)
		whole := len(s.raw)
		if at := bytes.LastIndexByte(s.raw, 0x1b); at >= 0 && !styling.Match(s.raw[at:]) {
			whole = at // the rest of a sequence may still come
		}
		s.output = append(s.output, styling.ReplaceAll(s.raw[:whole], nil)...)
		s.raw = append([]byte(nil), s.raw[whole:]...)
		s.mutex.Unlock()
		select {
		case s.grown <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// press types a text.
func (s *terminal) press(text string) {
	s.t.Helper()
	if _, err := s.control.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// expect waits until the output that it has not passed yet holds a text, passes
// it, and returns what stood between that text and the next line's end, for which it
// waits too, except behind a prompt.
func (s *terminal) expect(text string) string {
	s.t.Helper()
	rest := ""
	s.await(text, func(fresh []byte) (passed int, ok bool) {
		at := bytes.Index(fresh, []byte(text))
		if at < 0 || text == prompt {
			return at + len(text), at >= 0
		}
		behind := fresh[at+len(text):]
		end := bytes.IndexAny(behind, "\r\n")
		rest = string(behind[:max(end, 0)])
		return at + len(text) + end, end >= 0
	})
	return rest
}

// expectAll waits until the output that was not passed yet holds all the texts, in
// any order.
func (s *terminal) expectAll(texts ...string) {
	s.t.Helper()
	s.await(fmt.Sprintf("%q", texts), func(fresh []byte) (int, bool) {
		for _, text := range texts {
			if !bytes.Contains(fresh, []byte(text)) {
				return 0, false
			}
		}
		return len(fresh), true
	})
}

// await waits until found says that the output not passed yet is as wanted, and
// passes as much of it as found says.
func (s *terminal) await(what string, found func(fresh []byte) (passed int, ok bool)) {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		s.mutex.Lock()
		fresh := s.output[s.read:]
		passed, ok := found(fresh)
		if ok {
			s.read += passed
		}
		s.mutex.Unlock()
		if ok {
			return
		}
		select {
		case <-s.grown:
		case <-deadline:
			s.mutex.Lock()
			defer s.mutex.Unlock()
			s.t.Fatalf("the terminal never showed %s, but %q", what, s.output[s.read:])
		}
	}
}
