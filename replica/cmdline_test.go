package replica

import (
	"strings"
	"testing"
	"unsafe"
)

func TestParseArguments(t *testing.T) {
	t.Parallel()
	tests := []struct {
		words string // with spaces for the zeros
		want  arguments
	}{
		{"", arguments{}},
		{"tb", arguments{command: "tb"}},
		{"tb start --addresses=3000 0_0.tigerbeetle", arguments{command: "tb", subcommand: "start", positional: "0_0.tigerbeetle", addresses: "3000"}},
		{"tb start 0_0.tigerbeetle --addresses=0,1", arguments{command: "tb", subcommand: "start", positional: "0_0.tigerbeetle", addresses: "0,1"}},
		{"tb start --addresses=0 --development x", arguments{command: "tb", subcommand: "start", positional: "x", noPolling: "--addresses=0", addresses: "0"}},
		{"tb start --development x", arguments{command: "tb", subcommand: "start", positional: "x", noPolling: "--development"}},
		{"tb start --development=false x", arguments{command: "tb", subcommand: "start", positional: "x"}},
		{"tb --development start x", arguments{command: "tb", positional: "x", noPolling: "--development"}},
		{"tb repl --addresses=3000", arguments{command: "tb", subcommand: "repl", addresses: "3000"}},
	}
	for _, test := range tests {
		if got := parseArguments(strings.ReplaceAll(test.words, " ", "\x00") + "\x00"); got != test.want {
			t.Errorf("%q: %+v, want %+v", test.words, got, test.want)
		}
	}
}

// However long a command line is, little of it is kept: the strings that are do not hold on to the rest.
func TestParseArgumentsKeepsLittle(t *testing.T) {
	t.Parallel()
	long := "tb\x00start\x00--addresses=3000\x00" + strings.Repeat("x\x00", cmdlineMax/4) + "0_0.tigerbeetle\x00"
	got := parseArguments(long)
	if got.command != "tb" || got.subcommand != "start" || got.addresses != "3000" || got.positional != "0_0.tigerbeetle" || got.tooLong {
		t.Errorf("got %+v", got)
	}
	begin, end := uintptr(unsafe.Pointer(unsafe.StringData(long))), uintptr(len(long))
	for _, kept := range []string{got.command, got.subcommand, got.addresses, got.positional} {
		if at := uintptr(unsafe.Pointer(unsafe.StringData(kept))); at >= begin && at < begin+end {
			t.Errorf("%q is a part of the command line, and keeps all of it", kept)
		}
	}
	for _, text := range []string{
		"tb\x00start\x00" + strings.Repeat("y", argumentMax+1) + "\x00", // no path is as long
		"tb\x00start\x00" + strings.Repeat("y\x00", cmdlineMax/2),       // its last word is not in it
	} {
		if got := parseArguments(text[:min(len(text), cmdlineMax)]); got.positional != "" || !got.tooLong || got.subcommand != "start" {
			t.Errorf("of %d bytes: %+v", len(text), got)
		}
	}
}

func TestParseStatus(t *testing.T) {
	t.Parallel()
	rest := " S 1 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 567 0 0\n"
	for _, name := range []string{"(x)", "(a) b (c)", "()) R 9 9", "(\n)"} {
		if got, err := parseStatus("1 " + name + ")" + rest); err != nil || got != (status{started: 567}) {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}
	changed := map[string]status{
		strings.Replace(rest, "S", "Z", 1):                                         {started: 567, ended: true},
		strings.Replace(strings.Replace(rest, "S", "Z", 1), "20 0 1", "20 0 2", 1): {started: 567}, // its first thread alone
		strings.Replace(rest, "4194304", "2129984", 1):                             {started: 567, kernel: true},
	}
	for text, want := range changed {
		if got, err := parseStatus("1 (x)" + text); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, wrong := range []string{"", "1 (x)", "1 (x) S 1", strings.Replace("1 (x)"+rest, "567", "-1", 1), strings.Replace("1 (x)"+rest, "4194304", "x", 1)} {
		if got, err := parseStatus(wrong); err == nil {
			t.Errorf("%q: %+v", wrong, got)
		}
	}
	if boot, ok := parseBootTime("cpu 1\nbtime 1700000000\nctxt 2\n"); !ok || boot != 1700000000 {
		t.Errorf("boot at %d, %t", boot, ok)
	}
	for _, wrong := range []string{"", "btime", "btime x", "btime -1", "btime 99999999999999999999"} {
		if boot, ok := parseBootTime(wrong); ok {
			t.Errorf("%q: boot at %d", wrong, boot)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("tb\x00start\x00--addresses=3000\x000_0.tigerbeetle\x00")
	f.Add("1 (a) b) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 567 0 0\n")
	f.Add("cpu 1\nbtime 1700000000\n")
	f.Fuzz(func(t *testing.T, text string) {
		args := parseArguments(text)
		if !strings.Contains(text, args.positional) || strings.HasPrefix(args.positional, "--") {
			t.Errorf("positional %q of %q", args.positional, text)
		}
		if len(args.command) > argumentMax || len(args.positional) > argumentMax || len(args.addresses) > argumentMax {
			t.Errorf("%d bytes of it are kept", len(args.command)+len(args.positional)+len(args.addresses))
		}
		if command := parseCommand(text[:min(len(text), argumentMax+1)]); command != args.command {
			t.Errorf("the first word of %q is %q, and of its first part %q", text, args.command, command)
		}
		parseStatus(text)
		parseUser(text)
		nested(text)
		parseMounts(text)
		parseService(text, text)
		if boot, ok := parseBootTime(text); ok && boot < 0 {
			t.Errorf("boot at %d of %q", boot, text)
		}
	})
}
