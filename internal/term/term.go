// Package term is the terminal: the two output streams, colour, tables and
// progress. It is the one place that knows lipgloss and progressbar.
//
// Each stream has a renderer of its own, so that a result redirected to a file
// carries no escapes while the progress beside it does. Colours are the
// terminal's own sixteen, and no meaning rests on a colour alone.
package term

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

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
	color    bool
	width    int
	narrow   bool // somebody says how wide it is: a terminal, or COLUMNS
	styles   Styles
	err      error

	sequences map[string]bool // what the styles write before and behind a text
}

// Styles are the ways that text is set off. Each is the plain text where the
// stream is not coloured.
type Styles struct {
	Bold, Dim, Good, Bad, Warn, Accent lipgloss.Style

	// Parts are colours to tell neighbours apart, to be used in turn.
	Parts []lipgloss.Style
}

// New makes a stream that writes to w. getenv looks up NO_COLOR, TERM and
// COLUMNS; nil stands for an empty environment.
func New(w io.Writer, color Color, getenv func(string) string) *Stream {
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	s := &Stream{w: w, width: widthDefault}
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
	s.styles = newStyles(w, s.color)
	if s.color {
		s.sequences = s.styles.sequences()
	}
	return s
}

// sequences are what the styles write before and behind a text.
func (s Styles) sequences() map[string]bool {
	all := make(map[string]bool)
	for _, style := range append([]lipgloss.Style{s.Bold, s.Dim, s.Good, s.Bad, s.Warn, s.Accent}, s.Parts...) {
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

func newStyles(w io.Writer, color bool) Styles {
	renderer := lipgloss.NewRenderer(w)
	renderer.SetColorProfile(termenv.Ascii)
	if color {
		renderer.SetColorProfile(termenv.ANSI)
	}
	colored := func(number string) lipgloss.Style {
		return renderer.NewStyle().Foreground(lipgloss.Color(number))
	}
	return Styles{
		Bold:   renderer.NewStyle().Bold(color),
		Dim:    renderer.NewStyle().Faint(color),
		Good:   colored("2"),
		Bad:    colored("1").Bold(color),
		Warn:   colored("3"),
		Accent: colored("6"),
		Parts:  []lipgloss.Style{colored("4"), colored("6"), colored("5"), colored("2"), colored("3")},
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

// Printf writes a formatted text. Of what a terminal would act on, only the stream's own
// styles and newlines get through.
func (s *Stream) Printf(format string, args ...any) {
	_, _ = io.WriteString(s, s.clean(fmt.Sprintf(format, args...)))
}

// Println writes a line, as [Stream.Printf] does.
func (s *Stream) Println(args ...any) { _, _ = io.WriteString(s, s.clean(fmt.Sprintln(args...))) }

// clean replaces control characters but those of the stream's styles.
func (s *Stream) clean(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if strings.IndexFunc(text, func(r rune) bool { return r != '\n' && acts(r) }) < 0 {
		return text
	}
	var clean strings.Builder
	for text != "" {
		end := strings.IndexByte(text, '\x1b')
		if end < 0 {
			end = len(text)
		}
		for index, line := range strings.Split(text[:end], "\n") {
			if index > 0 {
				clean.WriteByte('\n')
			}
			clean.WriteString(Printable(line))
		}
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
func (s *Stream) Wrap(text string, indent int) string {
	limit := max(s.width-indent, 10)
	margin := strings.Repeat(" ", indent)
	var lines []string
	var line string
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case lipgloss.Width(line)+1+lipgloss.Width(word) <= limit:
			line += " " + word
		default:
			lines, line = append(lines, margin+line), word
		}
	}
	return strings.Join(append(lines, margin+line), "\n")
}

// WrapStyled is [Stream.Wrap] in a style. Each line is styled for itself: lipgloss
// would pad them all to the longest.
func (s *Stream) WrapStyled(style lipgloss.Style, text string, indent int) string {
	lines := strings.Split(s.Wrap(text, indent), "\n")
	for index, line := range lines {
		lines[index] = style.Render(line)
	}
	return strings.Join(lines, "\n")
}

// Hang is [Stream.Wrap] without the indent of the first line, which stands behind as many
// columns of something else, or is let out. It breaks nothing where there is no
// terminal: what reads the lines there looks for them whole.
func (s *Stream) Hang(text string, indent int) string {
	if !s.terminal {
		return text
	}
	return strings.TrimLeft(s.Wrap(text, indent), " ")
}

// Printable replaces what a terminal would act on (control characters and
// escapes) in a text that came from outside.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if acts(r) {
			return '\ufffd'
		}
		return r
	}, text)
}

// acts reports whether a terminal does something else with a character than show it.
func acts(r rune) bool {
	return r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0x2028 || r == 0x2029 || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069)
}
