//go:build unix

package multiversion

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A pipe that nobody writes to holds nothing up, not even one that takes the place
// of a file in the moment between looking and opening.
func TestOpenDoesNotWait(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, pipe, name := filepath.Join(dir, "file"), filepath.Join(dir, "pipe"), filepath.Join(dir, "name")
	if err := os.WriteFile(file, sampleELF(t).data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("no named pipe here: %v", err)
	}
	done := make(chan struct{})
	point := func(to string) {
		next := filepath.Join(dir, "next")
		if err := os.Symlink(to, next); err != nil {
			t.Error(err)
		}
		if err := os.Rename(next, name); err != nil {
			t.Error(err)
		}
	}
	point(pipe)
	if _, err := Open(name); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a pipe: %v", err)
	}
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				point(file)
				point(pipe)
			}
		}
	})
	for range 3000 {
		opened, err := Open(name)
		switch {
		case err == nil:
			opened.Close()
		case !strings.Contains(err.Error(), "not a regular file"):
			t.Error(err)
		}
	}
	close(done)
	swapper.Wait()
}
