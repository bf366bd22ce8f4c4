package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/install"
)

// half serves a file of which the second half comes once it is let go.
func half(t *testing.T, data []byte) (url string, sent, goOn chan struct{}) {
	t.Helper()
	sent, goOn = make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/tigerbeetle" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		_, _ = w.Write(data[:len(data)/2])
		_ = http.NewResponseController(w).Flush()
		close(sent)
		<-goOn
		_, _ = w.Write(data[len(data)/2:])
	}))
	t.Cleanup(server.Close)
	return server.URL + "/tigerbeetle", sent, goOn
}

// An operator whose connection is lost sees the command fail. It ends without a change
// then, however far it had come, and the history says so.
func TestLiveConnectionLost(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		make     func(*testing.T) ends
		out, err bool // which of the streams it is
	}{
		{"standard output", pipeEnds, true, false},
		{"standard error", pipeEnds, false, true},
		{"both are one pipe", pipeEnds, true, true},
		{"both are one socket", socketEnds, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLive(t, "0.17.6", "0.17.5")
			next := l.binary("0.17.8", "0.17.6", "0.17.7v")
			before := l.read(l.target)
			url, sent, goOn := half(t, l.read(next))
			e := test.make(t)
			defer e.write.Close()
			command := exec.CommandContext(t.Context(), "tbctl", "install", url, l.target, "--quiet")
			command.Env = l.env()
			log, err := os.Create(filepath.Join(l.dir, "log"))
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			command.Stdout, command.Stderr = log, log
			if test.out {
				command.Stdout = e.write
			}
			if test.err {
				command.Stderr = e.write
			}
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			<-sent
			e.lose(t)
			close(goOn)
			_ = command.Wait() // the exit code says it
			if code := command.ProcessState.ExitCode(); code != 130 {
				t.Errorf("exit code %d, want 130: %s", code, l.read(log.Name()))
			}
			if !test.err && !bytes.Contains(l.read(log.Name()), []byte("standard output: its reader is gone")) {
				t.Errorf("standard error is %q", l.read(log.Name()))
			}
			if !bytes.Equal(l.read(l.target), before) {
				t.Error("the target was replaced")
			}
			l.only("tigerbeetle", filepath.Base(l.data), filepath.Base(next), "log", "state", "cache")
			l.tbctl("history").ends(0).prints(string(install.ResultInterrupted))
			l.tbctl("install", next, l.target).ends(0)

			e = test.make(t)
			defer e.write.Close()
			e.lose(t)
			before = l.read(l.target)
			command = exec.CommandContext(t.Context(), "tbctl", "rollback", l.target, "--stopped", "--running", "0.17.6")
			command.Env, command.Stdout, command.Stderr = l.env(), e.write, e.write
			_ = command.Run()
			if code := command.ProcessState.ExitCode(); code != 130 || !bytes.Equal(l.read(l.target), before) {
				t.Errorf("rollback: exit code %d, want 130, and the target as it was", code)
			}
		})
	}
}

// What reads nothing anyway is not lost: a file, the null device, a closed descriptor,
// and the answer to a command whose output goes elsewhere.
func TestLiveNothingLost(t *testing.T) {
	t.Parallel()
	for _, streams := range []string{">log 2>&1", ">/dev/null 2>&1", ">&- 2>&-", "2>&1 | cat"} {
		t.Run(streams, func(t *testing.T) {
			t.Parallel()
			l := newLive(t, "0.17.6", "0.17.5")
			next := l.binary("0.17.8", "0.17.6", "0.17.7v")
			command := exec.CommandContext(t.Context(), "sh", "-c", `exec tbctl install "$0" "$1" `+streams, next, l.target)
			command.Dir = l.dir
			l.run(command).ends(0)
			if !bytes.Equal(l.read(l.target), l.read(next)) {
				t.Error("it is not installed")
			}
		})
	}
}
