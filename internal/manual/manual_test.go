package manual

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

type grammar struct {
	Quiet bool `short:"q" help:"Say less." group:"all"`

	Put    putCmd   `cmd:"" group:"one" help:"Put a thing."`
	Run    runCmd   `cmd:"" group:"one" help:"Run a thing."`
	Plain  plainCmd `cmd:"" group:"last" help:"Nothing more to say, really."`
	Secret plainCmd `cmd:"" hidden:"" help:"Hidden."`
}

type putCmd struct {
	Thing  string   `arg:"" help:"What to put."`
	Files  []string `arg:"" optional:"" env:"PIER_FILES" help:"Where."`
	Output string   `short:"o" required:"" placeholder:"FILE" help:".dot at the start, 'quote' and \\back."`
	Keep   bool     `negatable:"" help:"Keep it."`
	Last   int      `default:"20" help:"How many."`
	Level  string   `group:"two" env:"PIER_LEVEL" help:"A level."`
	Hidden bool     `hidden:"" env:"PIER_HIDDEN" help:"Never shown."`
}

// shell is an example with every character that roff treats as something else.
const shell = `echo 'a' "b" ~/c --d=^e \f $(g) ` + "`h`" + ` | i_j -- *.k? # 100% … é ¬`

func (putCmd) Help() string {
	return `Puts it. Two lines
make one paragraph.

A second one, with code:

  code here
    deeper

  after a gap

Examples:

  ` + shell + `
  .dotted
  'quoted

Behind the examples.

Exit codes:

  0  done
  1-9  failed, in
     two lines
`
}

type runCmd struct {
	File string   `arg:""`
	Args []string `arg:"" optional:"" passthrough:""`
}

type plainCmd struct{}

func model(t *testing.T) *kong.Application {
	t.Helper()
	parser, err := kong.New(&grammar{}, kong.Name("pier"), kong.Description("A pier for ships."),
		kong.ExplicitGroups([]kong.Group{{Key: "one", Title: "First:"}, {Key: "two", Title: "Levels:"}, {Key: "last", Title: "Last:"}, {Key: "all", Title: "Everywhere:"}}))
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model
}

var facts = Facts{
	Version: "1.2.3", Date: time.Date(2021, 2, 3, 23, 0, 0, 0, time.UTC), Description: "One.\n\nTwo.",
	Exit: []Entry{{"0", "Fine."}}, Environment: []Entry{{"NO_COLOR", "Grey."}}, Files: []Entry{{"~/.pier", "The file."}}, Examples: "pier put",
}

func TestPages(t *testing.T) {
	t.Parallel()
	var names []string
	pages := Pages(model(t), facts)
	for _, page := range pages {
		names = append(names, page.Name)
	}
	if want := []string{"pier.1", "pier-put.1", "pier-run.1", "pier-plain.1"}; !slices.Equal(names, want) {
		t.Errorf("pages %q, want %q", names, want)
	}
	if again := Pages(model(t), facts); !slices.Equal(again, pages) {
		t.Error("the same model and facts gave other pages")
	}
	heads := regexp.MustCompile(`(?m)^\.S[HS] "(.*)"$`)
	for index, want := range []string{
		"NAME SYNOPSIS DESCRIPTION COMMANDS First Last OPTIONS EXIT STATUS ENVIRONMENT FILES EXAMPLES SEE ALSO",
		"NAME SYNOPSIS DESCRIPTION OPTIONS Arguments Flags Levels Flags of every command EXIT STATUS ENVIRONMENT FILES EXAMPLES SEE ALSO",
		"NAME SYNOPSIS DESCRIPTION OPTIONS Arguments Flags of every command ENVIRONMENT FILES SEE ALSO",
		"NAME SYNOPSIS DESCRIPTION OPTIONS ENVIRONMENT FILES SEE ALSO",
	} {
		var got []string
		for _, head := range heads.FindAllStringSubmatch(pages[index].Roff, -1) {
			got = append(got, head[1])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: sections %q, want %q", pages[index].Name, got, want)
		}
	}
}

func TestPagesWithoutFacts(t *testing.T) {
	t.Parallel()
	for _, page := range Pages(model(t), Facts{}) {
		if title, _, _ := strings.Cut(page.Roff, "\n"); !strings.HasSuffix(title, ` 1 "" "pier" "pier manual"`) {
			t.Errorf("%s: title %q", page.Name, title)
		}
	}
}

// TestRendered reads the pages as the two programs show them that are in use.
func TestRendered(t *testing.T) {
	t.Parallel()
	for name, render := range map[string][]string{
		"man-db": {"man", "--warnings", "-E", "UTF-8", "-l"},
		"mandoc": {"mandoc", "-Tutf8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(render[0]); err != nil {
				t.Skipf("skipped: no %s here", render[0])
			}
			shown := make(map[string]string)
			for _, page := range Pages(model(t), facts) {
				shown[page.Name] = show(t, render, page)
			}
			for _, want := range []string{
				"pier-put - Put a thing", "pier put [FLAG]... -o, --output=FILE THING [FILE]...", "Puts it. Two lines make one paragraph.",
				"code here\n", "  deeper\n", shell, ".dotted\n", "'quoted\n", "Behind the examples.", "1-9 failed, in two lines",
				".dot at the start, 'quote' and \\back.", "--[no-]keep", "--last=LAST How many. The default is 20.",
				"PIER_LEVEL Like --level.", "PIER_FILES Like the argument FILE.", "NO_COLOR Grey.", "~/.pier The file.", "pier(1), pier-run(1)",
			} {
				if !strings.Contains(shown["pier-put.1"], want) && !strings.Contains(strings.Join(strings.Fields(shown["pier-put.1"]), " "), want) {
					t.Errorf("%q is not shown", want)
				}
			}
			if strings.Contains(shown["pier-put.1"], "PIER_HIDDEN") || strings.Contains(shown["pier.1"], "secret") {
				t.Error("something hidden is shown")
			}
			if !strings.Contains(shown["pier-run.1"], "pier run [FLAG]... FILE [-- [ARG]...]") {
				t.Errorf("synopsis of what hands arguments on:\n%s", shown["pier-run.1"])
			}
			if !strings.Contains(shown["pier.1"], "2021-02-03") || !strings.Contains(shown["pier.1"], "pier 1.2.3") {
				t.Errorf("date and version:\n%s", shown["pier.1"])
			}
		})
	}
}

// TestLint lets mandoc judge the pages.
func TestLint(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("mandoc"); err != nil {
		t.Skip("skipped: no mandoc here")
	}
	for _, page := range Pages(model(t), facts) {
		output, err := exec.Command("mandoc", "-Tlint", "-Wwarning", write(t, page)).CombinedOutput()
		if err != nil || len(output) > 0 {
			t.Errorf("%s: %v\n%s", page.Name, err, output)
		}
	}
}

func write(t *testing.T, page Page) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), page.Name)
	if err := os.WriteFile(name, []byte(page.Roff), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// show is what a program shows of a page, without bold and underlined; a warning
// fails the test.
func show(t *testing.T, render []string, page Page) string {
	t.Helper()
	command := exec.Command(render[0], append(render[1:], write(t, page))...)
	command.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH=100", "MANROFFOPT=-c", "PAGER=cat", "MANPAGER=cat")
	var warnings strings.Builder
	command.Stderr = &warnings
	output, err := command.Output()
	if err != nil || warnings.Len() > 0 {
		t.Errorf("%s %s: %v %s", render[0], page.Name, err, warnings.String())
	}
	return regexp.MustCompile(".\x08").ReplaceAllString(string(output), "")
}

func FuzzPage(f *testing.F) {
	f.Add("Text.\n\n  code\n\nExamples:\n\n  x\n\nExit codes:\n\n  0  done\n", "1.0")
	f.Add("Exit codes:\n\n  x\n\t\n .\n'", "\x00\"\\")
	app := func() *kong.Application {
		parser, err := kong.New(&grammar{}, kong.Name("pier"))
		if err != nil {
			f.Fatal(err)
		}
		return parser.Model
	}()
	known := regexp.MustCompile(`^\.(TH|SH|SS|TP|PP|RS|EX|EE|RE)( |$)`)
	f.Fuzz(func(t *testing.T, text, version string) {
		command := *app.Children[0]
		command.Detail = text
		page := Command(app, &command, Facts{Version: version, Description: text})
		for line := range strings.Lines(page.Roff) {
			if (strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'")) && !known.MatchString(strings.TrimSpace(line)) {
				t.Errorf("the text became a request: %q", line)
			}
		}
	})
}
