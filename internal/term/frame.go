package term

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	xterm "golang.org/x/term"
)

const heightDefault = 24 // of a terminal that does not say

// Redraws reports whether the stream is a terminal at which a text can be drawn again in its place.
func (s *Stream) Redraws() bool { return s.terminal && !s.dumb }

// Frame is a text at a terminal that is drawn again in its place.
type Frame struct {
	stream *Stream
	widths []int // of the lines that are there
}

// NewFrame begins a frame where the cursor is.
func (s *Stream) NewFrame() *Frame { return &Frame{stream: s} }

// Draw puts what is written to a stream of the terminal's width in place of what was drawn before. What does not
// fit the terminal's height is left out before the last lines, which say what to do, and how many lines that are is said there.
func (f *Frame) Draw(write func(*Stream)) {
	height := f.stream.measure()
	lines := f.text(write)
	shown := lines
	if rowsOf(lines, f.rowsOf) > height-1 && len(lines) > 1 { // the last one is the cursor's
		last := fittingLast(lines, f.rowsOf, (height-2)/3)
		first := fitting(lines[:len(lines)-len(last)], f.rowsOf, height-2-rowsOf(last, f.rowsOf))
		shown = append(append(first, fmt.Sprintf("… %d more lines", len(lines)-len(first)-len(last))), last...)
	}
	f.put(shown)
}

// End puts all that is written in place of what was drawn before, however high it is: nothing is drawn any more.
func (f *Frame) End(write func(*Stream)) {
	f.stream.measure()
	f.put(f.text(write))
}

// text is what is written, in lines.
func (f *Frame) text(write func(*Stream)) []string {
	var text bytes.Buffer
	inside := *f.stream
	inside.w = &text
	write(&inside)
	return strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
}

// put puts lines in place of those that are there.
func (f *Frame) put(shown []string) {
	var out bytes.Buffer
	if up := f.up(); up > 0 {
		fmt.Fprintf(&out, "\x1b[%dA", up)
	}
	out.WriteString("\r\x1b[J")
	f.widths = f.widths[:0]
	for _, line := range shown {
		f.widths = append(f.widths, columnsOf(line))
		out.WriteString(line + "\n")
	}
	_, _ = f.stream.Write(out.Bytes()) // the stream keeps its error
}

// fitting are the first lines that take so many rows.
func fitting(lines []string, rowsOf func(int) int, rows int) []string {
	for index, line := range lines {
		if rows -= rowsOf(columnsOf(line)); rows < 0 {
			return lines[:index:index]
		}
	}
	return lines[:len(lines):len(lines)]
}

// fittingLast are the last lines that take so many rows.
func fittingLast(lines []string, rowsOf func(int) int, rows int) []string {
	from := len(lines)
	for from > 0 {
		if rows -= rowsOf(columnsOf(lines[from-1])); rows < 0 {
			break
		}
		from--
	}
	return lines[from:]
}

// rowsOf is how many rows lines take.
func rowsOf(lines []string, of func(int) int) int {
	rows := 0
	for _, line := range lines {
		rows += of(columnsOf(line))
	}
	return rows
}

// up is how many rows what is there takes at the terminal's width of now.
func (f *Frame) up() int {
	rows := 0
	for _, width := range f.widths {
		rows += f.rowsOf(width)
	}
	return rows
}

func (f *Frame) rowsOf(width int) int { return max(1, (width+f.stream.width-1)/f.stream.width) }

// measure asks the terminal how large it is now, and returns its height.
func (s *Stream) measure() int {
	file, ok := s.w.(*os.File)
	if !ok {
		return heightDefault
	}
	width, height, err := xterm.GetSize(int(file.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return heightDefault
	}
	s.width = min(max(width, widthMin), widthMax)
	return height
}
