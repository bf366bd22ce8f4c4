package term

import "strings"

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
// do not fit a terminal are left out by their Drop, but never from a pipe or a file. If what
// is left does not fit either, each row is a paragraph below its first cell. Cells may
// carry styles.
func (s *Stream) Table(columns []Column, rows [][]string) Block {
	rows = s.cleanRows(rows)
	shown, fits := s.fit(columns, rows)
	if !fits && len(shown) > 1 {
		return s.paragraphs(columns, shown, rows)
	}
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
	return Block(lines.String())
}

// cleanRows keeps each cell in its line.
func (s *Stream) cleanRows(rows [][]string) [][]string {
	cleaned := make([][]string, len(rows))
	for index, row := range rows {
		cleaned[index] = make([]string, len(row))
		for column, cell := range row {
			cleaned[index][column] = s.clean(cell)
		}
	}
	return cleaned
}

// paragraphs sets each row as its first cell, and the others with their titles wrapped below it.
func (s *Stream) paragraphs(columns []Column, shown []int, rows [][]string) Block {
	var lines strings.Builder
	for _, row := range rows {
		var rest []string
		for _, index := range shown[1:] {
			if cell := strings.TrimSpace(row[index]); cell != "" {
				rest = append(rest, s.styles.Dim.Render(columns[index].Title)+" "+cell)
			}
		}
		lines.WriteString(row[shown[0]] + "\n" + string(s.Wrap(strings.Join(rest, ", "), len(tableGap))) + "\n")
	}
	return Block(lines.String())
}

// fit returns the indexes of the columns that are shown, and whether they fit.
func (s *Stream) fit(columns []Column, rows [][]string) (shown []int, fits bool) {
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
			return shown, false
		}
		total -= columnWidth(columns, rows, shown[worst]) + len(tableGap)
		shown = append(shown[:worst], shown[worst+1:]...)
	}
	return shown, true
}

func columnWidth(columns []Column, rows [][]string, index int) int {
	width := columnsOf(columns[index].Title)
	for _, row := range rows {
		width = max(width, columnsOf(row[index]))
	}
	return width
}

func pad(text string, width int, right bool) string {
	space := strings.Repeat(" ", max(0, width-columnsOf(text)))
	if right {
		return space + text
	}
	return text + space
}
