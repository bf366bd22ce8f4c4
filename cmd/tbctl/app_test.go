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

func TestEarlyCommand(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, ""}, {[]string{"--json", "status"}, ""}, {[]string{"status", "/opt/tb"}, "status"}, {[]string{"fleet", "status", "tb0"}, "fleet status"},
		{[]string{"store"}, "store"}, {[]string{"store", "--json"}, "store"},
	} {
		if got := earlyCommand(test.args); got != test.want {
			t.Errorf("%q: %q, want %q", test.args, got, test.want)
		}
	}
}
