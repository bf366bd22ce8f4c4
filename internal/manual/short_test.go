package manual

import (
	"bytes"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// lighthouse is a grammar with flags that few need.
type lighthouse struct {
	All   AllFlag `name:"help-all" help:"All of it."`
	Quiet bool    `help:"Say less."`

	Light lightCmd `cmd:"" help:"Light it."`
	Plain struct{} `cmd:"" help:"Nothing else."`
	Lamps struct {
		Oil string `help:"Which oil."`
	} `cmd:"" more:"" help:"Show the lamps."`
}

type lightCmd struct {
	Where  string   `arg:"" help:"Which one."`
	Bright bool     `help:"So that it is seen from afar, in any weather, by every ship."`
	Colour []string `help:"In which colours."`
	Wick   string   `more:"" placeholder:"LENGTH" help:"How long the wick is."`
	Secret string   `hidden:"" help:"Nobody's business."`
}

// Help is the long help.
func (lightCmd) Help() string {
	return "Lights it at dusk.\n\nThe oil lasts for a night.\n\nExamples:\n\n  lighthouse light north\n\nExit codes:\n\n  0  it burns\n"
}

// helpOf is what a command line prints that asks for help.
func helpOf(t *testing.T, width int, args ...string) (text string) {
	t.Helper()
	var out bytes.Buffer
	options := kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: width}
	type ended struct{}
	parser, err := kong.New(&lighthouse{}, kong.Name("lighthouse"), kong.Writers(&out, &out), kong.Exit(func(int) { panic(ended{}) }),
		kong.ConfigureHelp(options), kong.Bind(options), kong.Help(Short))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if end := recover(); end != (ended{}) {
			t.Fatalf("%q ends with %v", args, end)
		}
		text = out.String()
	}()
	_, err = parser.Parse(args)
	t.Fatalf("%q goes on: %v", args, err)
	return ""
}

// The short help has what people need, in the order of its use, and names the command for the rest.
func TestShort(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args      string
		in, notIn []string
	}{
		{"light --help", []string{"Usage: lighthouse light <where>", "Lights it at dusk.", "lighthouse light north", "<where>", "--bright", "--colour", "  lighthouse light --help-all\n"},
			[]string{"The oil lasts", "Exit codes", "--wick", "--secret", "--quiet"}},
		{"light --help-all", []string{"Lights it at dusk.", "The oil lasts", "it burns", "--quiet", "--bright", "--wick=LENGTH"}, []string{"--secret", "lighthouse light --help-all"}},
		{"lamps --help", []string{"Show the lamps.", "lighthouse lamps --help-all"}, []string{"--oil"}},
		{"lamps --help-all", []string{"--oil"}, nil},
		{"--help", []string{"light ", "plain ", "--help-all", "--quiet"}, nil},
	} {
		text := helpOf(t, 80, strings.Fields(test.args)...)
		at := 0
		for _, want := range test.in {
			next := strings.Index(text[at:], want)
			if next < 0 {
				t.Errorf("%s: no %q behind what is before it in\n%s", test.args, want, text)
				break
			}
			at += next
		}
		for _, not := range test.notIn {
			if strings.Contains(text, not) {
				t.Errorf("%s: %q is in\n%s", test.args, not, text)
			}
		}
	}
}

// In a narrow terminal the text of a flag is below its name.
func TestNarrow(t *testing.T) {
	t.Parallel()
	text := helpOf(t, 40, "light", "--help-all")
	for _, want := range []string{"\n      --bright\n      So that it is seen from afar,", "--colour=COLOUR,...\n", "--wick=LENGTH\n      How long"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for line := range strings.Lines(text) {
		if len(strings.TrimRight(line, "\n")) > 40 {
			t.Errorf("%q is too wide", line)
		}
	}
}
