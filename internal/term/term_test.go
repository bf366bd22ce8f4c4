package term

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text   string
		indent int
		want   string
	}{
		{"", 0, ""},
		{"one two three four", 0, "one two three four"},
		{"one two three four five", 0, "one two three four\nfive"},
		{"one two  three\nfour", 8, "        one two\n        three four"},
		{"a /word/that/is/longer/than/a/line b", 0, "a\n/word/that/is/longer/than/a/line\nb"},
		{"0.17.7 → 0.17.8 ab", 0, "0.17.7 → 0.17.8 ab"}, // columns, not bytes
	} {
		s := &Stream{width: 20}
		if got := s.Wrap(test.text, test.indent); string(got) != test.want {
			t.Errorf("%q by %d: %q, want %q", test.text, test.indent, got, test.want)
		}
	}
}

// A command that is to be typed stays in one line.
func TestHangCommand(t *testing.T) {
	t.Parallel()
	s := &Stream{width: 24, terminal: true}
	label := New(&bytes.Buffer{}, ColorAlways, func(string) string { return "xterm" })
	label.width, label.terminal = 24, true
	styled := label.Styles().Accent.Render("hint:")
	if got, want := label.Hang(styled+" tbctl status /opt/tigerbeetle/tigerbeetle", 2), styled+"\n  tbctl status /opt/tigerbeetle/tigerbeetle"; string(got) != want || styled == "hint:" {
		t.Errorf("%q, want %q", got, want)
	}
	for text, want := range map[string]string{
		"hint: run it as root or as the owner: sudo tbctl rollback /opt/a/tb": "hint: run it as root\n  or as the owner:\n  sudo tbctl rollback /opt/a/tb",
		"wait, and then tbctl status /opt/a/tb":                               "wait, and then\n  tbctl status /opt/a/tb",
		"another tbctl works on the target of this host":                      "another tbctl works on\n  the target of this\n  host",
		"short: tbctl status":                                                 "short: tbctl status",
	} {
		if got := s.Hang(text, 2); string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestHangBreaksOnTerminalsAlone(t *testing.T) {
	t.Parallel()
	text := "one two three four five"
	if got := (&Stream{width: 20}).Hang(text, 4); string(got) != text {
		t.Errorf("without a terminal: %q", got)
	}
	if got, want := (&Stream{width: 20, terminal: true}).Hang(text, 4), Block("one two three\n    four five"); got != want {
		t.Errorf("on a terminal: %q, want %q", got, want)
	}
}

func TestWrapStyledPadsNothing(t *testing.T) {
	t.Parallel()
	s := New(&bytes.Buffer{}, ColorAlways, func(name string) string { return map[string]string{"COLUMNS": "20"}[name] })
	for line := range strings.SplitSeq(string(s.WrapStyled(s.Styles().Dim, "one two three four five", 2)), "\n") {
		if !strings.HasPrefix(line, "\x1b[") || strings.Contains(line, " \x1b") {
			t.Errorf("line %q", line)
		}
	}
}

func TestTableDropsColumns(t *testing.T) {
	t.Parallel()
	columns := []Column{{Title: "name"}, {Title: "size", Right: true, Drop: 1}, {Title: "from", Drop: 2}}
	rows := [][]string{{"one", "1", "somewhere"}, {"eleven", "11", "elsewhere"}}
	for width, want := range map[int]string{
		80: "NAME    SIZE  FROM\none        1  somewhere\neleven    11  elsewhere\n",
		20: "NAME    SIZE\none        1\neleven    11\n",
		11: "NAME\none\neleven\n",
		3:  "NAME\none\neleven\n", // what may not be dropped stays
	} {
		if got := (&Stream{width: width, narrow: true}).Table(columns, rows); string(got) != want {
			t.Errorf("width %d:\n%s\nwant\n%s", width, got, want)
		}
	}
}

func TestTableBecomesParagraphs(t *testing.T) {
	t.Parallel()
	columns := []Column{{Title: "name"}, {Title: "size", Right: true}, {Title: "from"}}
	rows := [][]string{{"one", "1", "somewhere"}, {"eleven", "", "elsewhere"}}
	if got, want := (&Stream{width: 16, narrow: true}).Table(columns, rows), Block("one\n  size 1, from\n  somewhere\neleven\n  from elsewhere\n"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := (&Stream{width: 16}).Table(columns, rows); !strings.HasPrefix(string(got), "NAME    SIZE  FROM\n") {
		t.Errorf("without a terminal: %q", got)
	}
}

func TestColor(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		color Color
		want  bool
	}{{ColorAuto, false}, {ColorNever, false}, {ColorAlways, true}} { // a buffer is no terminal
		s := New(&bytes.Buffer{}, test.color, nil)
		if got := s.Styles().Good.Render("x") != "x"; got != test.want || s.Colored() != test.want || s.Terminal() {
			t.Errorf("%s: coloured %v", test.color, got)
		}
	}
}

func TestWidth(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 80, "120": 120, "1": 20, "100000": 400, "x": 80, "-3": 80} {
		if got := New(&bytes.Buffer{}, ColorAuto, func(string) string { return text }).Width(); got != want {
			t.Errorf("COLUMNS=%q: %d, want %d", text, got, want)
		}
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	good := New(&bytes.Buffer{}, ColorAlways, nil).Styles().Good
	for text, want := range map[string]int{
		"": 0, "tigerbeetle 0.17.8~": 19, good.Render("held"): 4, "é": 1, "e\u0301": 1, "虎": 2, "a\x7fb": 2, "a\tb": 2, "\x1b[31m": 0,
	} {
		if got := columnsOf(text); got != want {
			t.Errorf("%q takes %d columns, want %d", text, got, want)
		}
	}
}

// TestPlainStyles holds that without colour a text is as it was, whichever style is asked for.
func TestPlainStyles(t *testing.T) {
	t.Parallel()
	styles := New(&bytes.Buffer{}, ColorNever, nil).Styles()
	for _, style := range append([]Style{styles.Bold, styles.Dim, styles.Good, styles.Bad, styles.Warn, styles.Accent}, styles.Parts...) {
		if got := style.Render(" held\t\x1b[31m\n "); got != " held\ufffd\ufffd[31m\ufffd " {
			t.Errorf("rendered %q", got)
		}
	}
	if len(styles.Parts) == 0 {
		t.Error("no colour for the parts of a file, which are taken in turn")
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"/usr/local/bin/tigerbeetle": "/usr/local/bin/tigerbeetle", "größer →": "größer →",
		"\x1b]0;title\x07": "\ufffd]0;title\ufffd", "a\nb\tc": "a\ufffdb\ufffdc", "\u202egnp.exe": "\ufffdgnp.exe", "\u009b31m": "\ufffd31m",
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestStreamLetsNothingActThrough(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		color      Color
		text, want string
	}{
		{ColorNever, "plain → größer", "plain → größer"},
		{ColorNever, "name\ninstalled: 9.9.9", "name\ufffdinstalled: 9.9.9"},
		{ColorNever, "\x1b]0;title\x07", "\ufffd]0;title\ufffd"},
		{ColorNever, "\x1b[31mred", "\ufffd[31mred"},
		{ColorNever, "\x1b", "\ufffd"},
		{ColorNever, "a\x9b31m\xff", "a\ufffd31m\ufffd"},
		{ColorAlways, "\x1b[8mhidden\x1b[2Jcleared", "\ufffd[8mhidden\ufffd[2Jcleared"},
		{ColorAlways, "a\r\tb\n", "a\ufffd\ufffdb\ufffd"},
	} {
		var out bytes.Buffer
		s := New(&out, test.color, nil)
		s.Printf("%s\n", test.text)
		s.Println(test.text)
		s.Println(errors.New(test.text))
		s.Printf("%v\n", struct{ name string }{test.text})
		s.Println(s.Lines(test.text, test.text))
		s.Println(s.Hang(test.text, 2))
		s.Printf("%s", s.Table([]Column{{Title: "x"}}, [][]string{{test.text}}))
		want := strings.Repeat(test.want+"\n", 3) + "{" + test.want + "}\n" + strings.Repeat(test.want+"\n", 3) + s.Styles().Dim.Render("X") + "\n" + test.want + "\n"
		if got := out.String(); got != want {
			t.Errorf("%s, %q: %q, want %q", test.color, test.text, got, want)
		}
	}
	var out bytes.Buffer
	s := New(&out, ColorAlways, nil)
	styles := s.Styles()
	text := ""
	for _, style := range append([]Style{styles.Bold, styles.Dim, styles.Good, styles.Bad, styles.Warn, styles.Accent}, styles.Parts...) {
		text += style.Render("styled") + " "
	}
	if s.Printf("%s", text); out.String() != text || !strings.Contains(text, "\x1b[") {
		t.Errorf("%q, want %q", out.String(), text)
	}
	if got := styles.Bold.Render("a\n\x1b[31mb"); strings.Count(got, "\x1b") != 2 || strings.Contains(got, "\n") {
		t.Errorf("styled: %q", got)
	}
	out.Reset()
	if s.Printf("%d %5.1f %q %t\n", 7, 1.5, "x", true); out.String() != "7   1.5 \"x\" true\n" {
		t.Errorf("numbers: %q", out.String())
	}
}

func TestBytes(t *testing.T) {
	t.Parallel()
	for size, want := range map[int64]string{
		0: "0 B", 10239: "10239 B", 10240: "10 KiB", 1<<20 - 1: "1024 KiB", 1 << 20: "1 MiB", 54008192: "51.5 MiB", 5 << 40: "5 TiB",
	} {
		if got := Bytes(size); got != want {
			t.Errorf("%d: %q, want %q", size, got, want)
		}
	}
}

type brokenPipe struct{}

var errBroken = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

func TestErrIsKept(t *testing.T) {
	t.Parallel()
	s := New(brokenPipe{}, ColorAuto, nil)
	s.Println("lost")
	if !errors.Is(s.Err(), errBroken) {
		t.Errorf("error %v", s.Err())
	}
}

// Where there is no terminal, progress is a line every few seconds, and never a carriage return.
func TestProgressLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := NewProgress(New(&out, ColorAuto, nil), false)
	synctest.Test(t, func(*testing.T) {
		p.Start("fetching", -1)
		for range 11 {
			p.Update(5<<20, 50<<20)
			<-time.After(time.Second) // of the bubble
		}
	})
	p.Done()
	p.Update(1, 2) // after the end: nothing
	if got, want := out.String(), strings.Repeat("tbctl: fetching: 5 MiB of 50 MiB (10 %)\n", 2); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	out.Reset()
	quiet := NewProgress(New(&out, ColorAuto, nil), true)
	quiet.Start("fetching", 1)
	quiet.Update(1, 1)
	quiet.Done()
	var none *Progress
	none.Start("x", 1)
	none.Update(1, 1)
	none.Done()
	if out.Len() > 0 {
		t.Errorf("quiet, but %q", &out)
	}
}
