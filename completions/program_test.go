package completions

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// grammar is that of a program which the tests complete: the test binary itself,
// under the name of program.
type grammar struct {
	Quiet bool   `short:"q" help:"Say less."`
	Color string `enum:"auto,always,never" default:"auto" help:"Colour."`
	Debug bool   `hidden:""`

	Put    putCmd    `cmd:"" help:"Put a thing: here."`
	Show   showCmd   `cmd:"" aliases:"look" help:"Show things."`
	Start  startCmd  `cmd:"" help:"Start a thing."`
	Odd    oddCmd    `cmd:"" help:"Odd values."`
	Secret secretCmd `cmd:"" hidden:""`
}

type putCmd struct {
	Source  string   `arg:""`
	Target  string   `arg:"" optional:""`
	Running []string `placeholder:"VERSION" help:"What runs."`
	Data    []string `placeholder:"FILE" help:"A data file."`
	Into    string   `placeholder:"DIR" help:"A directory."`
	Owner   string   `short:"o" help:"An owner."`
	Fast    bool     `xor:"speed" help:"Quickly."`
	Slow    bool     `xor:"speed" help:"Slowly."`
	Keep    bool     `negatable:"" help:"Keep it."`
}

type showCmd struct {
	Files []string `arg:""`
}

type startCmd struct {
	File    string   `arg:""`
	Args    []string `arg:"" optional:"" passthrough:""`
	Version string   `help:"Which."`
}

type oddCmd struct {
	Value string `arg:""`
	Last  string `arg:"" optional:"" enum:",one,two" default:""`
}

type secretCmd struct{}

// source knows the live values of the program.
func source(request Request) (Answer, bool) {
	switch request.Value.Name {
	case "source":
		answer := Values("1.2.3", "1.2.4-1")
		answer.Names = Files
		return answer, true
	case "running":
		return Answer{Candidates: []Candidate{{"1.2.3", "the old one"}, {"1.2.4-1", "the new one"}, {"2.0.0", ""}}}, true
	case "version":
		return Values(request.Given("file")...), true
	case "owner":
		return Values("alice", "alice:admin", "bob"), true
	case "value":
		return Values("two words", "it's", "co:lon:s", "$HOME", `back\slash`, "semi;colon", "zoë", "(par)"), true
	}
	return Answer{}, false
}

// program is the name under which the test binary is the program.
const program = "pier"

// TestMain is the program itself if the tests started it by that name: it
// completes, prints a script, or prints its arguments.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != program {
		os.Exit(m.Run())
	}
	args := os.Args[1:]
	switch {
	case len(args) > 1 && args[0] == Command:
		_, _ = Complete(model(), args[2:], source).WriteTo(os.Stdout)
	case len(args) > 1 && args[0] == "completion":
		script, err := Script(program, Shell(args[1]))
		if err != nil {
			panic(err)
		}
		fmt.Print(script)
	default:
		text, _ := json.Marshal(args)
		fmt.Printf("ARGS %s\n", text)
	}
}

func model() *kong.Application {
	parser, err := kong.New(&grammar{}, kong.Name(program))
	if err != nil {
		panic(err)
	}
	return parser.Model
}

// install makes the test binary available as the program, and returns its directory.
func install(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, program)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// printed is the answer as a script reads it.
func printed(t *testing.T, answer Answer) string {
	t.Helper()
	var text strings.Builder
	if _, err := answer.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}
