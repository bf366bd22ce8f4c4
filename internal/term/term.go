// Package term is the terminal: the two output streams, colour, tables and
// progress. It is the one place that knows lipgloss and progressbar.
//
// Each stream has a renderer of its own, so that a result redirected to a file
// carries no escapes while the progress beside it does. Colours are the
// terminal's own sixteen, and no meaning rests on a colour alone.
package term

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
	xterm "golang.org/x/term"
)

// Color says when a stream is coloured.
type Color string

// The three answers to --color.
const (
	ColorAuto   Color = "auto"   // a terminal that does not say NO_COLOR or TERM=dumb
	ColorAlways Color = "always" // whatever the stream is
	ColorNever  Color = "never"
)

// Widths in columns.
const (
	widthDefault = 80
	widthMin     = 20
	widthMax     = 400
)

// Stream is one output stream with its own colours and width.
type Stream struct {
	w        io.Writer
	terminal bool
	dumb     bool // of a terminal: it cannot move its cursor
	color    bool
	width    int
	narrow   bool // a terminal or COLUMNS says how wide it is
	styles   Styles
	err      error

	sequences map[string]bool // what the styles write before and behind a text
}

// Styles are the ways that text is set off. Each is the plain text where the
// stream is not coloured.
type Styles struct {
	Bold, Dim, Good, Bad, Warn, Accent Style

	// Parts are colours to tell neighbours apart, to be used in turn.
	Parts []Style
}

// A Style is one way that text is set off. The zero value leaves it as it is.
type Style struct{ style *lipgloss.Style }

// Render sets a text off, of which nothing is left that a terminal would act on.
func (s Style) Render(text string) string {
	if s.style == nil {
		return Printable(text)
	}
	return s.style.Render(Printable(text))
}

// New makes a stream that writes to w. getenv looks up NO_COLOR, TERM and
// COLUMNS; nil stands for an empty environment.
func New(w io.Writer, color Color, getenv func(string) string) *Stream {
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	s := &Stream{w: w, width: widthDefault, dumb: getenv("TERM") == "dumb" || getenv("TERM") == ""}
	if file, ok := w.(*os.File); ok && xterm.IsTerminal(int(file.Fd())) {
		s.terminal = true
		if width, _, err := xterm.GetSize(int(file.Fd())); err == nil && width > 0 {
			s.width, s.narrow = width, true
		}
	}
	if columns, err := strconv.Atoi(getenv("COLUMNS")); err == nil && columns > 0 {
		s.width, s.narrow = columns, true
	}
	s.width = min(max(s.width, widthMin), widthMax)
	switch color {
	case ColorAlways:
		s.color = true
	case ColorNever:
	default:
		s.color = s.terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	}
	s.styles.Parts = make([]Style, 1)
	if s.color {
		s.styles = newStyles(w)
		s.sequences = s.styles.sequences()
	}
	return s
}

// sequences are what the styles write before and behind a text.
func (s Styles) sequences() map[string]bool {
	all := make(map[string]bool)
	for _, style := range append([]Style{s.Bold, s.Dim, s.Good, s.Bad, s.Warn, s.Accent}, s.Parts...) {
		before, behind, _ := strings.Cut(style.Render("x"), "x")
		all[before], all[behind] = true, true
	}
	delete(all, "")
	return all
}

// IsTerminal reports whether a stream that is read from is a terminal.
func IsTerminal(r io.Reader) bool {
	file, ok := r.(*os.File)
	return ok && xterm.IsTerminal(int(file.Fd()))
}

// ReadLine reads a line that a person types, without the blanks around it. Nothing typed is "". The error is the context's.
func ReadLine(ctx context.Context, in io.Reader) (string, error) {
	typed := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n')
		typed <- strings.TrimSpace(line)
	}()
	select {
	case line := <-typed:
		return line, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// newStyles are those of a coloured stream.
func newStyles(w io.Writer) Styles {
	renderer := lipgloss.NewRenderer(w)
	renderer.SetColorProfile(termenv.ANSI)
	set := func(style lipgloss.Style) Style { return Style{&style} }
	colored := func(number string) lipgloss.Style {
		return renderer.NewStyle().Foreground(lipgloss.Color(number))
	}
	return Styles{
		Bold:   set(renderer.NewStyle().Bold(true)),
		Dim:    set(renderer.NewStyle().Faint(true)),
		Good:   set(colored("2")),
		Bad:    set(colored("1").Bold(true)),
		Warn:   set(colored("3")),
		Accent: set(colored("6")),
		Parts:  []Style{set(colored("4")), set(colored("6")), set(colored("5")), set(colored("2")), set(colored("3"))},
	}
}

// Terminal reports whether the stream is a terminal.
func (s *Stream) Terminal() bool { return s.terminal }

// Colored reports whether the stream is coloured.
func (s *Stream) Colored() bool { return s.color }

// Unwrap returns what the stream writes to.
func (s *Stream) Unwrap() io.Writer { return s.w }

// Width is the width of a line in columns, 80 where nobody says.
func (s *Stream) Width() int { return s.width }

// Styles returns the stream's styles.
func (s *Stream) Styles() Styles { return s.styles }

// Write writes to the stream. It remembers the first error, see [Stream.Err].
func (s *Stream) Write(data []byte) (int, error) {
	count, err := s.w.Write(data)
	if err != nil && s.err == nil {
		s.err = err
	}
	return count, err
}

// A Block is a text of lines that this program made: what came from outside stays in
// the line where it stands.
type Block string

// Printf writes a formatted text. What the arguments say stays in the line that the format
// puts it in, unless it is a [Block], and of what a terminal would act on only the
// stream's own styles get through: names from outside cannot look like lines of ours.
func (s *Stream) Printf(format string, args ...any) {
	_, _ = io.WriteString(s, fmt.Sprintf(format, s.each(args)...))
}

// Println writes a line, as [Stream.Printf] does.
func (s *Stream) Println(args ...any) { _, _ = io.WriteString(s, fmt.Sprintln(s.each(args)...)) }

// Lines are a block of these.
func (s *Stream) Lines(lines ...string) Block {
	cleaned := make([]string, len(lines))
	for index, line := range lines {
		cleaned[index] = s.clean(line)
	}
	return Block(strings.Join(cleaned, "\n"))
}

// each are the arguments as they may be shown.
func (s *Stream) each(args []any) []any {
	shown := make([]any, len(args))
	for index, arg := range args {
		switch reflect.ValueOf(arg).Kind() {
		case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
			reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
			shown[index] = arg // a number, or what knows how to show one
			continue
		}
		if block, ok := arg.(Block); ok {
			shown[index] = string(block)
			continue
		}
		shown[index] = s.clean(fmt.Sprint(arg))
	}
	return shown
}

// clean replaces control characters, newlines too, but those of the stream's styles.
func (s *Stream) clean(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if !strings.ContainsFunc(text, acts) {
		return text
	}
	var clean strings.Builder
	for text != "" {
		end := strings.IndexByte(text, '\x1b')
		if end < 0 {
			end = len(text)
		}
		clean.WriteString(Printable(text[:end]))
		if text = text[end:]; text == "" {
			break
		}
		sequence := text[:strings.IndexByte(text, 'm')+1]
		if !s.sequences[sequence] {
			sequence = text[:1]
			clean.WriteRune('\ufffd')
		} else {
			clean.WriteString(sequence)
		}
		text = text[len(sequence):]
	}
	return clean.String()
}

// Err returns the first error of writing, such as a closed pipe.
func (s *Stream) Err() error { return s.err }

// Wrap breaks text at spaces into lines of the stream's width less indent, and
// indents all of them. A word longer than a line stays whole.
func (s *Stream) Wrap(text string, indent int) Block {
	limit := max(s.width-indent, 10)
	margin := strings.Repeat(" ", indent)
	var lines []string
	var line string
	for _, word := range strings.Fields(text) {
		word = s.clean(word)
		switch {
		case line == "":
			line = word
		case columnsOf(line)+1+columnsOf(word) <= limit:
			line += " " + word
		default:
			lines, line = append(lines, margin+line), word
		}
	}
	return Block(strings.Join(append(lines, margin+line), "\n"))
}

// WrapStyled is [Stream.Wrap] in a style. Each line is styled for itself: lipgloss
// would pad them all to the longest.
func (s *Stream) WrapStyled(style Style, text string, indent int) Block {
	lines := strings.Split(string(s.Wrap(text, indent)), "\n")
	for index, line := range lines {
		lines[index] = style.Render(line)
	}
	return Block(strings.Join(lines, "\n"))
}

// columnsOf is how many columns of a terminal a text takes. Nearly every text is of the printable
// characters of ASCII, and for those nothing has to be looked up.
func columnsOf(text string) int {
	for index := range len(text) {
		if text[index] < ' ' || text[index] > '~' {
			return lipgloss.Width(text)
		}
	}
	return len(text)
}

// Hang is [Stream.Wrap] without the indent of the first line, which stands behind as many
// columns of something else, or is let out. It breaks nothing where there is no
// terminal: what reads the lines there looks for them whole. From a command of tbctl on it breaks nothing either: who pastes
// the command would run its beginning.
func (s *Stream) Hang(text string, indent int) Block {
	text = s.clean(text)
	if !s.terminal {
		return Block(text)
	}
	wrapped := strings.TrimLeft(string(s.Wrap(text, indent)), " ")
	at := commandIn(text)
	if at < 0 || !strings.Contains(wrapped, "\n") {
		return Block(wrapped)
	}
	before := strings.TrimLeft(string(s.Wrap(text[:at], indent)), " ")
	return Block(before + "\n" + strings.Repeat(" ", indent) + text[at:])
}

// commandIn is where a command of tbctl begins in a text, that is to be typed as it stands; -1: there is none.
func commandIn(text string) int {
	for at := 0; ; {
		next := strings.Index(text[at:], " tbctl ")
		if next < 0 {
			return -1
		}
		at += next + 1
		before, _ := strings.CutSuffix(text[:at-1], "\x1b[0m") // the end of a style
		if sudo, ok := strings.CutSuffix(before, " sudo"); ok {
			return len(sudo) + 1
		}
		for _, end := range []string{":", ";", ",", " then", " or"} {
			if strings.HasSuffix(before, end) {
				return at
			}
		}
	}
}

// Printable replaces what a terminal would act on (control characters and
// escapes) in a text that came from outside, newlines too.
func Printable(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, acts) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if acts(r) {
			return '\ufffd'
		}
		return r
	}, text)
}

// acts reports whether a terminal does something else with a character than show it.
func acts(r rune) bool {
	return r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0x2028 || r == 0x2029 || r == 0x061c || r == 0x200e || r == 0x200f || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069)
}

// JSON returns a JSON text in which what a terminal would act on is escaped.
func JSON(text []byte) []byte {
	escape := func(r rune) bool { return r != '\n' && acts(r) }
	if !bytes.ContainsFunc(text, escape) {
		return text
	}
	var escaped bytes.Buffer
	for _, r := range string(text) {
		if escape(r) {
			fmt.Fprintf(&escaped, `\u%04x`, r)
		} else {
			escaped.WriteRune(r)
		}
	}
	return escaped.Bytes()
}
