package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

func init() { programs["faultyssh"] = faultySSH }

// lineFault is what happens to the line with one host at one of its requests, once.
type lineFault struct {
	Host   string
	Change bool // of the requests with a body, which ask for something to be done or checked, otherwise of those without
	N      int  // which of them, from 1
	Kind   string
}

// String names it, for the test's name.
func (f *lineFault) String() string {
	what := "look"
	if f.Change {
		what = "change"
	}
	return fmt.Sprintf("%s at %s %d of %s", f.Kind, what, f.N, f.Host)
}

// The kinds.
const (
	faultCut        = "cut"             // the line is cut
	faultStall      = "stall"           // nothing comes through any more, in either direction
	faultDelay      = "delay"           // it comes a while later
	faultTwice      = "twice"           // its bytes come twice, or, of every other request, those of the answer
	faultLost       = "answer lost"     // it is done, and the line is cut before the answer
	faultController = "controller dies" // the program that asks is killed
	faultHost       = "host dies"       // the program that answers is killed
)

var faultKinds = []string{faultCut, faultStall, faultDelay, faultTwice, faultLost, faultController, faultHost}

const (
	faultDelayTime = 700 * time.Millisecond

	frameHead    = 9 // bytes of the header of a frame of HTTP/2, RFC 9113 section 4.1
	frameHeaders = 1
	flagEnd      = 1 // of a request without a body
	prefaceSize  = 24
)

// faultySSH stands in for ssh: faultyssh DIR OPTION… -- HOST COMMAND starts tbctl host with the files below DIR/HOST. Where there is
// DIR/fault it counts the requests in DIR/HOST and has that fault happen, after which DIR/happened is there.
func faultySSH() {
	dir, host := os.Args[1], os.Args[slices.Index(os.Args, "--")+1]
	line := &faultyLine{dir: dir, host: host}
	if text, err := os.ReadFile(filepath.Join(dir, "fault")); err == nil {
		lineMust(json.Unmarshal(text, &line.fault))
	}
	program, err := exec.LookPath("tbctl")
	lineMust(err)
	line.child = exec.Command(program, "host")
	line.child.Env = append(os.Environ(), "TBCTL_CONFIG="+filepath.Join(dir, host, "config.toml"),
		"TBCTL_STATE_DIR="+filepath.Join(dir, host, "state"))
	line.child.Stderr = os.Stderr
	line.in, err = line.child.StdinPipe()
	lineMust(err)
	line.out, err = line.child.StdoutPipe()
	lineMust(err)
	lineMust(line.child.Start())
	go line.requests()
	line.answers()
	_ = line.child.Wait() // its exit code says it
	os.Exit(max(1, line.child.ProcessState.ExitCode()))
}

func lineMust(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(255)
	}
}

// faultyLine is one session.
type faultyLine struct {
	dir, host string
	fault     *lineFault // nil: nothing is counted
	child     *exec.Cmd
	in        io.WriteCloser
	out       io.Reader

	mu     sync.Mutex
	stream uint32 // whose answer is lost or comes twice; 0: none
	silent bool   // nothing comes through
}

// frame reads the next frame, with its header.
func frame(from io.Reader) ([]byte, error) {
	head := make([]byte, frameHead)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	whole := append(head, make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))...)
	_, err := io.ReadFull(from, whole[frameHead:])
	return whole, err
}

func streamOf(f []byte) uint32 { return binary.BigEndian.Uint32(f[5:]) &^ (1 << 31) }

// requests carries what the controller sends.
func (l *faultyLine) requests() {
	preface := make([]byte, prefaceSize)
	_, err := io.ReadFull(os.Stdin, preface)
	if err == nil {
		_, err = l.in.Write(preface)
	}
	for err == nil {
		var next []byte
		if next, err = frame(os.Stdin); err != nil {
			break
		}
		times := 1
		if next[3] == frameHeaders && l.meant(next[4]&flagEnd == 0) {
			times = l.happens(streamOf(next))
		}
		l.mu.Lock()
		silent := l.silent
		l.mu.Unlock()
		for range times {
			if !silent && err == nil {
				_, err = l.in.Write(next)
			}
		}
	}
	l.in.Close()
}

// answers carries what the host says.
func (l *faultyLine) answers() {
	for {
		next, err := frame(l.out)
		if err != nil {
			return
		}
		l.mu.Lock()
		silent, its := l.silent, l.stream != 0 && l.stream == streamOf(next) && next[3] == frameHeaders
		l.mu.Unlock()
		switch {
		case silent:
			continue
		case its && l.fault.Kind == faultLost:
			os.Exit(255)
		case its:
			next = append(next, next...)
		}
		if _, err := os.Stdout.Write(next); err != nil {
			return
		}
	}
}

// meant counts a request, and says whether the fault is this one's.
func (l *faultyLine) meant(change bool) bool {
	if l.fault == nil {
		return false
	}
	name := "looks"
	if change {
		name = "changes"
	}
	counter, err := os.OpenFile(filepath.Join(l.dir, l.host, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	lineMust(err)
	defer counter.Close()
	_, err = counter.Write([]byte{'.'})
	lineMust(err)
	info, err := counter.Stat()
	lineMust(err)
	return l.fault.Host == l.host && l.fault.Change == change && int64(l.fault.N) == info.Size()
}

// happens has the fault happen, and says how often the request comes.
func (l *faultyLine) happens(stream uint32) (times int) {
	mark, err := os.OpenFile(filepath.Join(l.dir, "happened"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return 1
	}
	lineMust(err)
	mark.Close()
	switch l.fault.Kind {
	case faultCut:
		os.Exit(255)
	case faultController:
		lineMust(syscall.Kill(os.Getppid(), syscall.SIGKILL))
		os.Exit(255)
	case faultHost:
		lineMust(l.child.Process.Kill())
		return 0
	case faultDelay:
		time.Sleep(faultDelayTime)
	case faultTwice:
		if l.fault.N%2 == 1 {
			return 2
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = l.fault.Kind == faultStall
	if l.fault.Kind == faultLost || l.fault.Kind == faultTwice {
		l.stream = stream
	}
	return 1
}
