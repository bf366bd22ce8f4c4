package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/alecthomas/kong"
)

// The commands in the documents are run by a test. A block of commands is a
// fence that begins with ```sh. A comment in the line above it may hold
// directives, which semicolons part:
//
//	exit N               the exit code that the block must have; otherwise 0
//	fresh                nothing is installed before
//	installed RELEASE    this release alone is installed before
//	replica              and a replica runs from it
//	setup NAME           something else is prepared, see sandbox.prepare
//	needs WHAT, …        it is skipped where there is no such program, no root, or no namespaces
//	not run: REASON      it cannot be run here
//
// as in <!-- run: installed 0.17.7; exit 4 -->. A fence ```text that follows is
// what the block prints, where … stands for anything in a line, and a line of
// nothing else for any number of lines. Within one document blocks are run in their
// order, in one place.

// docBlock is one block of commands in a document.
type docBlock struct {
	line      int
	script    string
	output    string // what it must print, if hasOutput
	hasOutput bool

	exit      int
	fresh     bool
	installed string
	replica   bool
	setup     string
	needs     string
	notRun    string
}

// developer reports whether all commands of a block are of the go command or .ci's scripts, for
// those who work on tbctl.
func (b docBlock) developer() bool {
	for _, command := range b.commands() {
		if words := wordsOf(command); len(words) == 0 || words[0] != "go" && !strings.HasPrefix(words[0], ".ci/") {
			return false
		}
	}
	return true
}

func (b docBlock) commands() []string {
	var commands []string
	for line := range strings.Lines(b.script) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			commands = append(commands, line)
		}
	}
	return commands
}

// wordsOf are the words of a command behind the variables that are set for it.
func wordsOf(command string) []string {
	command, _, _ = strings.Cut(command, " #")
	words := strings.Fields(command)
	for len(words) > 0 && regexp.MustCompile(`^[A-Z_]+=`).MatchString(words[0]) {
		words = words[1:]
	}
	return words
}

// documents are the files whose commands are run.
func documents(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{"../../README.md", "../../CONTRIBUTING.md"}, found...)
}

// readBlocks finds the blocks of commands in a document.
func readBlocks(t *testing.T, name string) []docBlock {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []docBlock
	lines := strings.Split(string(content), "\n")
	for at := 0; at < len(lines); at++ {
		language, ok := strings.CutPrefix(lines[at], "```")
		if !ok {
			if strings.HasPrefix(lines[at], "    tbctl ") {
				t.Errorf("%s:%d: commands stand in fences", name, at+1)
			}
			continue
		}
		block := docBlock{line: at + 2}
		comment := ""
		if at > 0 {
			comment = lines[at-1]
		}
		for at++; at < len(lines) && lines[at] != "```"; at++ {
			block.script += lines[at] + "\n"
		}
		switch {
		case language == "sh":
			if err := block.direct(comment); err != nil {
				t.Errorf("%s:%d: %v", name, block.line, err)
			}
			blocks = append(blocks, block)
		case language == "text" && follows(lines, block.line-2) && len(blocks) > 0:
			blocks[len(blocks)-1].output, blocks[len(blocks)-1].hasOutput = block.script, true
		case language == "":
			t.Errorf("%s:%d: a fence without a language", name, block.line)
		}
	}
	return blocks
}

// follows reports whether the fence at a line stands behind another, with at
// most one empty line between them.
func follows(lines []string, at int) bool {
	return at >= 2 && (lines[at-1] == "```" || lines[at-1] == "" && lines[at-2] == "```")
}

// direct takes the directives out of a comment.
func (b *docBlock) direct(comment string) error {
	text, ok := strings.CutPrefix(strings.TrimSpace(comment), "<!-- ")
	if !ok {
		return nil
	}
	text = strings.TrimSpace(strings.TrimSuffix(text, "-->"))
	if reason, ok := strings.CutPrefix(text, "not run: "); ok {
		b.notRun = reason
		return nil
	}
	text, ok = strings.CutPrefix(text, "run: ")
	if !ok {
		return nil
	}
	for directive := range strings.SplitSeq(text, ";") {
		word, value, _ := strings.Cut(strings.TrimSpace(directive), " ")
		var err error
		switch word {
		case "exit":
			b.exit, err = strconv.Atoi(value)
		case "fresh":
			b.fresh = true
		case "installed":
			b.installed = value
		case "replica":
			b.replica = true
		case "setup":
			b.setup = value
		case "needs":
			b.needs = value
		default:
			err = fmt.Errorf("unknown directive %q", word)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// TestDocsDeveloperCommands looks at the commands of those who work on tbctl,
// which take too long to be run by a test: that the packages they name exist.
func TestDocsDeveloperCommands(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, name := range documents(t) {
		for _, block := range readBlocks(t, name) {
			if !block.developer() {
				continue
			}
			for _, command := range block.commands() {
				checked++
				words := wordsOf(command)
				root := "../.."
				if place := slices.Index(words, "-C"); place >= 0 {
					root = filepath.Join(root, words[place+1])
				}
				for _, word := range append(words, ".") {
					if word != "." && !strings.HasPrefix(word, "./") && !strings.HasPrefix(word, ".ci/") {
						continue
					}
					if _, err := os.Stat(filepath.Join(root, strings.TrimSuffix(word, "..."))); err != nil {
						t.Errorf("%s:%d: %s: %v", name, block.line, command, err)
					}
				}
			}
		}
	}
	t.Logf("%d commands name packages that exist", checked)
}

// TestDocsLinks requires that what a document links to in this repository exists.
func TestDocsLinks(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	for _, name := range append(documents(t), "../../ARCHITECTURE.md", "../../CHANGELOG.md") {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, found := range link.FindAllStringSubmatch(string(content), -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), found[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestHelpExamples requires that every example in a help text is a command line
// that tbctl understands.
func TestHelpExamples(t *testing.T) {
	t.Parallel()
	var grammar cli
	parser, err := newParser(&grammar, nil, t.Output(), 80)
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for _, leaf := range parser.Model.Leaves(true) {
		_, text, _ := strings.Cut(strings.ReplaceAll(leaf.Detail, "\\\n", " "), "\nExample")
		text, _, _ = strings.Cut(text, "\nExit codes:")
		for line := range strings.Lines(text) {
			_, command, found := strings.Cut(line, "tbctl ")
			if !found {
				continue
			}
			command = regexp.MustCompile(`[<>|)].*`).ReplaceAllString(command, "")
			examples++
			if err := parseExample(t, strings.Fields(strings.ReplaceAll(command, "…", ""))); err != nil {
				t.Errorf("%s: %s: %v", leaf.Name, strings.TrimSpace(line), err)
			}
		}
	}
	if examples < 20 {
		t.Errorf("only %d examples found", examples)
	}
}

func parseExample(t *testing.T, args []string) error {
	t.Helper()
	var grammar cli
	parser, err := newParser(&grammar, nil, t.Output(), 80)
	if err != nil {
		return err
	}
	_, err = parser.Parse(args)
	if parse, ok := err.(*kong.ParseError); ok && strings.Contains(parse.Error(), "stat ") {
		return nil // a file of the example is not here
	}
	return err
}

// TestDocsMessages requires that the messages in the first column of the
// troubleshooting tables are ones that the program or the system has: each piece between
// two … is in the source, or an error of the system.
func TestDocsMessages(t *testing.T) {
	t.Parallel()
	const errnoLast = 133 // of Linux
	source := productSource(t)
	for errno := range syscall.Errno(errnoLast) {
		source += errno.Error() + "\n"
	}
	content, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for line := range strings.Lines(string(content)) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		for _, quoted := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			for piece := range strings.SplitSeq(quoted[1], "…") {
				if piece = strings.Trim(piece, " :,()"); len(piece) < 4 {
					continue
				}
				checked++
				if !strings.Contains(source, piece) {
					t.Errorf("no message has %q, of %q", piece, quoted[1])
				}
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d pieces of messages found", checked)
	}
}

// productSource is the source of the program.
func productSource(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("../..", func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		content, err := os.ReadFile(name)
		all.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
