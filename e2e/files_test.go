//go:build linux

package e2e

import (
	"os"
	"testing"
	"time"
)

// longAgo sets a file's time back.
func longAgo(t *testing.T, name string) {
	t.Helper()
	past := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(name, past, past); err != nil {
		t.Fatal(err)
	}
}
