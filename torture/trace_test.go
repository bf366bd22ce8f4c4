//go:build linux

package torture

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// A call is a system call that changes something: of a file, a directory, a lock
// or an output.
type call struct {
	Name   string `json:"name"`
	Object string `json:"object"` // what it changes, without what is random in names
	Result int64  `json:"result"`
}

func (c call) String() string { return c.Name + " " + c.Object }

// disturbance is what happens to the call number At of a process, counted from 1
// over all its threads. The zero value disturbs nothing.
type disturbance struct {
	At     int           `json:"at"`
	Errno  syscall.Errno `json:"errno"`  // the call fails
	Late   bool          `json:"late"`   // after it took effect
	Onward bool          `json:"onward"` // and so does every later one
	Half   bool          `json:"half"`   // a write writes only a half

	Signal      syscall.Signal `json:"signal"` // the process gets it before the call
	SignalAfter syscall.Signal `json:"signal_after"`

	NoExchange bool `json:"no_exchange"` // the file system cannot exchange two names
	Pause      bool `json:"pause"`       // stop after each call until told to go on
}

func (d disturbance) String() string {
	var texts []string
	add := func(is bool, format string, args ...any) {
		if is {
			texts = append(texts, fmt.Sprintf(format, args...))
		}
	}
	add(d.Errno != 0, "%s", errnoName(d.Errno))
	add(d.Late, "late")
	add(d.Onward, "onward")
	add(d.Half, "half")
	add(d.Signal != 0, "%s before", d.Signal)
	add(d.SignalAfter != 0, "%s after", d.SignalAfter)
	return strings.Join(texts, " ")
}

func errnoName(errno syscall.Errno) string {
	names := map[syscall.Errno]string{
		syscall.EIO: "EIO", syscall.ENOSPC: "ENOSPC", syscall.EROFS: "EROFS", syscall.EXDEV: "EXDEV", syscall.EINTR: "EINTR",
		syscall.EACCES: "EACCES", syscall.EDQUOT: "EDQUOT", syscall.EPIPE: "EPIPE",
	}
	if name, ok := names[errno]; ok {
		return name
	}
	return errno.Error()
}

// traced is what a traced process did.
type traced struct {
	Calls  []call         `json:"calls"`
	Code   int            `json:"code"` // of exit, or -1
	Signal syscall.Signal `json:"signal"`
	stdout string
	stderr string
}

// traceRequest is what the helper gets.
type traceRequest struct {
	Args []string    `json:"args"`
	What disturbance `json:"what"`
}

// event is a line that the helper says.
type event struct {
	Paused *call   `json:"paused,omitempty"`
	Done   *traced `json:"done,omitempty"`
}

// trace runs a command under a tracer of its own. At every pause it calls paused.
// The command's streams are those of cmd, if they are set.
func trace(t *testing.T, what disturbance, change func(*exec.Cmd), paused func(number int, c call), args ...string) traced {
	t.Helper()
	if !traceable {
		t.Skip("skipped: the tracer knows x86-64 only")
	}
	request, err := json.Marshal(traceRequest{args, what})
	check(t, err)
	command := helper(t, "trace", string(request))
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	events, eventsIn, err := os.Pipe()
	check(t, err)
	defer events.Close()
	goOnOut, goOn, err := os.Pipe()
	check(t, err)
	defer goOn.Close()
	command.ExtraFiles = []*os.File{eventsIn, goOnOut}
	if change != nil {
		change(command)
	}
	err = command.Start()
	eventsIn.Close()
	goOnOut.Close()
	check(t, err)
	var done *traced
	reader := json.NewDecoder(bufio.NewReader(events))
	for number := 1; ; {
		var said event
		if err := reader.Decode(&said); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if said.Paused != nil {
			paused(number, *said.Paused)
			number++
			_, err := goOn.Write([]byte{0})
			check(t, err)
		}
		if said.Done != nil {
			done = said.Done
		}
	}
	err = command.Wait()
	if done == nil || err != nil {
		if strings.Contains(stderr.String(), "operation not permitted") {
			t.Skipf("skipped: needs ptrace: %s", stderr.String())
		}
		t.Fatalf("trace %q: %v\n%s", args, err, stderr.String())
	}
	done.stdout, done.stderr = stdout.String(), stderr.String()
	return *done
}
