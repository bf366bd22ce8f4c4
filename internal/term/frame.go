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
// fit the terminal's height is left out, and how many lines that are is said.
func (f *Frame) Draw(write func(*Stream)) {
	height := f.stream.measure()
	var text bytes.Buffer
	inside := *f.stream
	inside.w = &text
	write(&inside)
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	shown, rows := lines, 0
	for index, line := range lines {
		rows += f.rowsOf(columnsOf(line))
		if rows > height-1 && len(lines) > 1 { // the last one is the cursor's
			shown = fitting(lines[:index], f.rowsOf, height-2)
			shown = append(shown, fmt.Sprintf("… %d more lines", len(lines)-len(shown)))
			break
		}
	}
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
