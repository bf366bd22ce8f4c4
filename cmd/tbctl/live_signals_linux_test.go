package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Every signal that asks a program to end ends each command that fetches or keeps something in the same
// way: with 130, a target as it was, nothing left beside it, and no dump of what tbctl was about.
func TestLiveSignals(t *testing.T) {
	t.Parallel()
	for _, signal := range interrupting() {
		for _, test := range []struct {
			args  string // SERVER is one that sends half of a file and then nothing
			stdin bool   // half of a file comes there
		}{
			{"install SERVER/tigerbeetle TARGET", false},
			{"install SERVER/tigerbeetle TARGET --dry-run", false},
			{"install - TARGET", true},
			{"install - TARGET --dry-run", true},
			{"download 0.17.8 --mirror SERVER", false},
			{"verify -", true},
			{"inspect -", true},
		} {
			t.Run(signal.String()+"/"+test.args, func(t *testing.T) {
				t.Parallel()
				l := newLive(t, "0.17.6", "0.17.5")
				next := l.binary("0.17.8", "0.17.6", "0.17.7v")
				before, data := l.read(l.target), l.read(next)
				sent := make(chan struct{}, 1)
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if name := filepath.Base(r.URL.Path); name != "tigerbeetle" && !strings.HasSuffix(name, ".zip") {
						http.NotFound(w, r)
						return
					}
					w.Header().Set("Content-Length", "100000000")
					_, _ = w.Write(data[:len(data)/2])
					_ = http.NewResponseController(w).Flush()
					sent <- struct{}{}
					<-r.Context().Done()
				}))
				t.Cleanup(server.Close)
				args := strings.Fields(strings.NewReplacer("SERVER", server.URL, "TARGET", l.target).Replace(test.args))
				command := exec.CommandContext(t.Context(), "tbctl", args...)
				scratch := filepath.Join(l.dir, "tmp")
				if err := os.Mkdir(scratch, 0o700); err != nil {
					t.Fatal(err)
				}
				command.Dir, command.Env = l.dir, append(l.env(), "TMPDIR="+scratch)
				var says bytes.Buffer
				command.Stdout, command.Stderr = &says, &says
				stdin, err := command.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				defer stdin.Close()
				if err := command.Start(); err != nil {
					t.Fatal(err)
				}
				if test.stdin { // more than a pipe holds, so that it has read
					if _, err := stdin.Write(data[:len(data)/2]); err != nil {
						t.Fatal(err)
					}
				} else {
					<-sent
				}
				_ = command.Process.Signal(signal)
				_ = command.Wait() // the exit code says it
				if code := command.ProcessState.ExitCode(); code != 130 || strings.Contains(says.String(), "goroutine") ||
					!strings.Contains(says.String(), "signal "+signal.String()) {
					t.Errorf("exit code %d: %s", code, says.String())
				}
				if !bytes.Equal(l.read(l.target), before) {
					t.Error("the target is another file")
				}
				if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
					t.Errorf("left in the directory of temporary files: %v, %v", left, err)
				}
				l.only("tigerbeetle", filepath.Base(l.data), filepath.Base(next), "state", "cache", "tmp")
			})
		}
	}
}

// interrupting are the signals that interrupt a command, but for what is ignored here, as SIGHUP is under nohup: that is ignored by what is
// started from here, too.
func interrupting() []syscall.Signal {
	return slices.DeleteFunc([]syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}, func(s syscall.Signal) bool { return signal.Ignored(s) })
}
