package main

import (
	"testing"

	"github.com/tbctl/tbctl/internal/interrupt"
)

// What another tbctl or a program is at is waited for after a signal, and what only looks is left at once.
func TestGrace(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]interrupt.Grace{
		"status": interrupt.Looks, "install": interrupt.Looks, "download": interrupt.Clears, "store import": interrupt.Clears,
		"fleet status": interrupt.Clears, "fleet stage": interrupt.Stays, "host": interrupt.Stays, "exec": interrupt.Stays, "": interrupt.Looks,
	} {
		if got := (&app{command: command}).grace(); got != want {
			t.Errorf("%s: %d, want %d", command, got, want)
		}
	}
}
