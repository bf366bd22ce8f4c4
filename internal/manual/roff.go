package manual

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/alecthomas/kong"
)

// page is a page that is being written.
type page struct{ strings.Builder }

// newPage begins a page with its title line.
func newPage(app *kong.Application, name string, facts Facts) *page {
	p := new(page)
	date := ""
	if !facts.Date.IsZero() {
		date = facts.Date.UTC().Format("2006-01-02")
	}
	source := strings.TrimSpace(app.Name + " " + facts.Version)
	fmt.Fprintf(p, ".TH %s %s %s %s %s\n", quoted(strings.ToUpper(name)), section, quoted(date), quoted(source), quoted(app.Name+" manual"))
	return p
}

// line prints a line of roff.
func (p *page) line(roff string) { p.WriteString(roff + "\n") }

func (p *page) section(title string)    { p.line(".SH " + quoted(title)) }
func (p *page) subsection(title string) { p.line(".SS " + quoted(title)) }

// item prints a term, already in roff, and what it means.
func (p *page) item(term, help string) {
	p.line(".TP")
	p.line(term)
	p.prose(help)
}

// list prints a section with a list, if there is anything in it.
func (p *page) list(title string, entries []Entry) {
	if len(entries) == 0 {
		return
	}
	p.section(title)
	for _, entry := range entries {
		p.item(bold(entry.Name), entry.Text)
	}
}

// text prints paragraphs that empty lines separate.
func (p *page) text(text string) { p.blocks(splitBlocks(text)) }

// blocks prints paragraphs and literal blocks.
func (p *page) blocks(blocks []block) {
	for index, block := range blocks {
		if index > 0 {
			p.line(".PP")
		}
		if block.literal {
			p.literal(block.lines)
			continue
		}
		p.prose(strings.Join(block.lines, " "))
	}
}

// lineSize is how long lines of prose become, in bytes of roff.
const lineSize = 78

// prose prints a paragraph in lines of a readable size; roff fills them again.
func (p *page) prose(text string) {
	line := ""
	for _, word := range strings.Fields(words(text)) {
		if line != "" && len(line)+1+len(word) > lineSize {
			p.line(protected(line))
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	p.line(protected(line))
}

// literal prints lines as they are, indented.
func (p *page) literal(lines []string) {
	p.line(".RS 4")
	p.line(".EX")
	for _, line := range lines {
		p.line(protected(code(line)))
	}
	p.line(".EE")
	p.line(".RE")
}

func bold(text string) string   { return `\fB` + code(text) + `\fR` }
func italic(text string) string { return `\fI` + code(text) + `\fR` }

// quoted is a text as an argument of a macro.
func quoted(text string) string {
	return `"` + strings.ReplaceAll(words(text), `"`, `\(dq`) + `"`
}

// protected keeps a line of text from being read as a request.
func protected(line string) string {
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		return `\&` + line
	}
	return line
}

// code is a text in which each character is meant as it is, to be copied into a
// shell: roff would set typographic ones for some.
func code(text string) string {
	var out strings.Builder
	for _, r := range text {
		switch r {
		case '-':
			out.WriteString(`\-`)
		case '\'':
			out.WriteString(`\(aq`)
		default:
			out.WriteString(character(r))
		}
	}
	return out.String()
}

// words is prose: a dash is one of a flag at the start of a word, and a hyphen in it.
func words(text string) string {
	var out strings.Builder
	start := true
	for _, r := range text {
		if r == '-' && start {
			out.WriteString(`\-`)
			continue
		}
		start = unicode.IsSpace(r) || strings.ContainsRune(`("[,=/`, r)
		out.WriteString(character(r))
	}
	return out.String()
}

// character is a character that means itself. Those that cannot stand in a line
// become a blank.
func character(r rune) string {
	switch r {
	case '\\':
		return `\e`
	case '~':
		return `\(ti`
	case '^':
		return `\(ha`
	case '`':
		return `\(ga`
	}
	switch {
	case !unicode.IsPrint(r):
		return " "
	case r > unicode.MaxASCII:
		return fmt.Sprintf(`\[u%04X]`, r)
	}
	return string(r)
}
