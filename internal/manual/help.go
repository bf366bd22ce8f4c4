package manual

import "strings"

// block is a paragraph, or lines that were indented and are shown as they are.
type block struct {
	literal bool
	lines   []string
}

// help is the long help of a command, apart.
type help struct {
	description []block
	examples    []block
	exit        []Entry
}

// splitHelp takes the examples and the exit codes out of a long help. Either
// begins with its heading and goes on while lines are indented.
func splitHelp(text string) help {
	var result help
	into := &result.description
	var exit []block
	for _, block := range splitBlocks(text) {
		if !block.literal {
			switch strings.Join(block.lines, " ") {
			case "Examples:", "Example:":
				into = &result.examples
				continue
			case "Exit codes:":
				into = &exit
				continue
			}
			into = &result.description
		}
		*into = append(*into, block)
	}
	for _, block := range exit {
		for _, line := range block.lines {
			if code, meaning, ok := exitLine(strings.TrimSpace(line)); ok {
				result.exit = append(result.exit, Entry{code, meaning})
			} else if last := len(result.exit) - 1; last >= 0 {
				result.exit[last].Text += " " + strings.TrimSpace(line)
			}
		}
	}
	return result
}

// exitLine splits a line of the exit codes into the code, such as 1 or 2-4, and what it
// stands for.
func exitLine(line string) (code, meaning string, ok bool) {
	code, meaning, ok = strings.Cut(line, " ")
	from, to, isRange := strings.Cut(code, "-")
	return code, strings.TrimLeft(meaning, " "), ok && isNumber(from) && (!isRange || isNumber(to))
}

func isNumber(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// splitBlocks finds the paragraphs and the indented blocks of a text. Empty lines
// inside an indented block stay in it.
func splitBlocks(text string) []block {
	var blocks []block
	gap := true
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		if line == "" {
			gap = true
			continue
		}
		literal := line[0] == ' ' || line[0] == '\t'
		last := len(blocks) - 1
		if last < 0 || blocks[last].literal != literal || gap && !literal {
			blocks = append(blocks, block{literal: literal})
			last++
		} else if gap {
			blocks[last].lines = append(blocks[last].lines, "")
		}
		gap = false
		blocks[last].lines = append(blocks[last].lines, line)
	}
	for index := range blocks {
		unindent(blocks[index].lines)
	}
	return blocks
}

// unindent takes away the indentation that all lines have.
func unindent(lines []string) {
	least := -1
	for _, line := range lines {
		if indent := len(line) - len(strings.TrimLeft(line, " ")); line != "" && (least < 0 || indent < least) {
			least = indent
		}
	}
	for index, line := range lines {
		lines[index] = line[min(max(least, 0), len(line)):]
	}
}
