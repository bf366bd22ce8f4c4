package term

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// screen is what a terminal of a width shows, of the few movements that a frame makes.
func screen(output string, width int) string {
	rows, row, column := [][]rune{{}}, 0, 0
	at := func() {
		for row >= len(rows) {
			rows = append(rows, []rune{})
		}
	}
	for output != "" {
		var up int
		if n, _ := fmt.Sscanf(output, "\x1b[%dA", &up); n == 1 {
			row, output = row-up, output[strings.IndexByte(output, 'A')+1:]
			continue
		}
		if rest, ok := strings.CutPrefix(output, "\x1b[J"); ok {
			rows, output = append(rows[:row:row], rows[row][:column]), rest
			continue
		}
		r := []rune(output)[0]
		output = output[len(string(r)):]
		switch r {
		case '\r':
			column = 0
		case '\n':
			row, column = row+1, 0
			at()
		default:
			if column == width {
				row, column = row+1, 0
				at()
			}
			rows[row] = append(rows[row][:column], r)
			column++
		}
	}
	var text strings.Builder
	for _, each := range rows {
		text.WriteString(string(each) + "\n")
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// A frame is where the one before was, whatever both have: lines that are longer than the terminal is wide too.
func TestFrame(t *testing.T) {
	t.Parallel()
	var output bytes.Buffer
	s := New(&output, ColorNever, func(name string) string { return map[string]string{"COLUMNS": "20"}[name] })
	f := s.NewFrame()
	output.WriteString("before\n")
	long := strings.Repeat("x", 45)
	for _, text := range []string{"one\ntwo\n", "one\n", long + "\nend\n", strings.Repeat("y", 20) + "\n", "last\nof\nall\n"} {
		f.Draw(func(out *Stream) { fmt.Fprint(out, text) })
		wrapped := ""
		for line := range strings.Lines(text) {
			for line = strings.TrimSuffix(line, "\n"); len(line) > 20; line = line[20:] {
				wrapped += line[:20] + "\n"
			}
			wrapped += line + "\n"
		}
		if got := screen(output.String(), 20); got != "before\n"+wrapped {
			t.Fatalf("after %q the screen has\n%s", text, got)
		}
	}
	// What is higher than the terminal is cut, and is drawn in its place all the same.
	for range 2 {
		f.Draw(func(out *Stream) {
			for number := range 100 {
				fmt.Fprintf(out, "line %d\n", number)
			}
		})
	}
	got := strings.Split(screen(output.String(), 20), "\n")
	if len(got) != heightDefault+1 || got[1] != "line 0" || got[15] != "line 14" || got[16] != "… 78 more lines" || got[heightDefault-1] != "line 99" {
		t.Errorf("%q", got)
	}
	// The end is all of it.
	f.End(func(out *Stream) {
		for number := range 100 {
			fmt.Fprintf(out, "line %d\n", number)
		}
	})
	if got := strings.Split(screen(output.String(), 20), "\n"); len(got) != 102 || got[0] != "before" || got[1] != "line 0" || got[100] != "line 99" {
		t.Errorf("%q", got)
	}
}

// A terminal that cannot move its cursor is written to like a file.
func TestRedraws(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"xterm": true, "dumb": false, "": false} {
		s := New(&bytes.Buffer{}, ColorNever, func(string) string { return name })
		s.terminal = true
		if s.Redraws() != want {
			t.Errorf("TERM=%s: %v", name, !want)
		}
	}
	if New(&bytes.Buffer{}, ColorNever, func(string) string { return "xterm" }).Redraws() {
		t.Error("a file is drawn at")
	}
}
