package term

import (
	"strings"

	"github.com/charmbracelet/lipgloss"
)

// Column is one column of a table.
type Column struct {
	Title string
	Right bool // numbers stand at the right

	// Drop says how gladly the column is left out where the terminal is too
	// narrow for all: the highest goes first, and 0 stays.
	Drop int
}

const tableGap = "  "

// Table sets rows under their titles, as wide as they need to be. Columns that
// do not fit a terminal are left out by their Drop, but never from a pipe or a file; what is left may still be wider than the
// stream, since a cut value is worse than a long line. Cells may carry styles.
func (s *Stream) Table(columns []Column, rows [][]string) string {
	shown := s.fit(columns, rows)
	var lines strings.Builder
	line := func(cells func(index int) string) {
		var parts []string
		for _, index := range shown {
			parts = append(parts, pad(cells(index), columnWidth(columns, rows, index), columns[index].Right))
		}
		lines.WriteString(strings.TrimRight(strings.Join(parts, tableGap), " ") + "\n")
	}
	line(func(index int) string { return s.styles.Dim.Render(strings.ToUpper(columns[index].Title)) })
	for _, row := range rows {
		line(func(index int) string { return row[index] })
	}
	return lines.String()
}

// fit returns the indexes of the columns that are shown.
func (s *Stream) fit(columns []Column, rows [][]string) []int {
	shown := make([]int, 0, len(columns))
	total := 0
	for index := range columns {
		shown = append(shown, index)
		total += columnWidth(columns, rows, index) + len(tableGap)
	}
	for s.narrow && total-len(tableGap) > s.width {
		worst := -1
		for place, index := range shown {
			if columns[index].Drop > 0 && (worst < 0 || columns[index].Drop > columns[shown[worst]].Drop) {
				worst = place
			}
		}
		if worst < 0 {
			break
		}
		total -= columnWidth(columns, rows, shown[worst]) + len(tableGap)
		shown = append(shown[:worst], shown[worst+1:]...)
	}
	return shown
}

func columnWidth(columns []Column, rows [][]string, index int) int {
	width := lipgloss.Width(columns[index].Title)
	for _, row := range rows {
		width = max(width, lipgloss.Width(row[index]))
	}
	return width
}

func pad(text string, width int, right bool) string {
	space := strings.Repeat(" ", max(0, width-lipgloss.Width(text)))
	if right {
		return space + text
	}
	return text + space
}
