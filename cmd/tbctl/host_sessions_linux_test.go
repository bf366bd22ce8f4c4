package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/remote"
)

// Many sessions on one host, each of which asks for many reports at once, are all answered, and none of them takes more than
// one that asks once.
func TestHostManySessions(t *testing.T) {
	t.Parallel()
	const (
		asksMax     = 16
		memoryMax   = 64 << 10 // KiB
		threadsMax  = 40
		sessionsAll = 200
	)
	count := 8
	if testbin.Full() {
		count = sessionsAll
	}
	dir := t.TempDir()
	target, config := filepath.Join(dir, "tigerbeetle"), filepath.Join(dir, "config.toml")
	standin.Replace(t, target, standin.Binary(t, "0.17.8", "0.17.7"))
	if err := os.WriteFile(config, fmt.Appendf(nil, "target = %q\n", target), 0o600); err != nil {
		t.Fatal(err)
	}
	dialer := &remote.Dialer{SSH: []string{"env", "TBCTL_CONFIG=" + config, "HOME=" + dir, "sh", "-c", "exec tbctl host", "sh"}}
	var sessions, asked sync.WaitGroup
	var mu sync.Mutex
	var open []*remote.Session
	for range count {
		sessions.Go(func() {
			session, err := dialer.Dial(t.Context(), "here")
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			open = append(open, session)
			mu.Unlock()
		})
	}
	sessions.Wait()
	for _, session := range open {
		defer session.Close()
		for range asksMax {
			asked.Go(func() {
				shown, err := session.Report(t.Context())
				if err != nil || len(shown.Targets) != 1 || shown.Targets[0].Status == nil || shown.Targets[0].Status.Installed == nil {
					t.Errorf("%+v, %v", shown, err)
				}
			})
		}
	}
	asked.Wait()
	found := 0
	entries, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, environ := range entries {
		if env, err := os.ReadFile(environ); err != nil || !bytes.Contains(env, []byte("TBCTL_CONFIG="+config)) {
			continue // one that has ended meanwhile, or another
		}
		found++
		status, err := os.ReadFile(filepath.Join(filepath.Dir(environ), "status"))
		if err != nil {
			t.Fatal(err)
		}
		var memory, threads int
		for line := range strings.Lines(string(status)) {
			fmt.Sscanf(line, "VmHWM: %d kB", &memory)
			fmt.Sscanf(line, "Threads: %d", &threads)
		}
		if memory == 0 || memory > memoryMax || threads > threadsMax {
			t.Errorf("a session takes %d KiB and %d threads", memory, threads)
		}
		if found == 1 {
			t.Logf("a session takes %d KiB and %d threads", memory, threads)
		}
	}
	if found != count {
		t.Errorf("%d sessions are seen, of %d", found, count)
	}
}
