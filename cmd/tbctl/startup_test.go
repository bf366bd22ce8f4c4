package main

import (
	"bytes"
	"io"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/tbctl/tbctl/internal/cmdline"
)

// BenchmarkParser is what every command pays before it begins.
func BenchmarkParser(b *testing.B) {
	for b.Loop() {
		parser, _, err := newCommandParser("version", nil, io.Discard, 80)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := parser.Parse([]string{"version"}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestCommandParser holds that the parser of one command says of it what the one of all
// commands says.
func TestCommandParser(t *testing.T) {
	t.Parallel()
	var grammar cli
	whole, err := newParser(&grammar, nil, io.Discard, 80)
	if err != nil {
		t.Fatal(err)
	}
	if len(whole.Model.Children) < 17 {
		t.Fatalf("the grammar has %d commands", len(whole.Model.Children))
	}
	for _, command := range whole.Model.Children {
		var help [2]bytes.Buffer
		var models [2]*kong.Node
		for index, word := range []string{command.Name, "help"} {
			parser, _, err := newCommandParser(word, nil, &help[index], 80)
			if err != nil {
				t.Fatal(err)
			}
			if index == 0 && len(parser.Model.Children) != 1 {
				t.Errorf("%s: the parser knows %d commands", command.Name, len(parser.Model.Children))
			}
			models[index] = parser.Model.Children[slices.IndexFunc(parser.Model.Children, func(node *kong.Node) bool { return node.Name == command.Name })]
			func() {
				defer func() { _ = recover() }() // of errHelpShown
				_, _ = parser.Parse([]string{command.Name, "--help"})
			}()
		}
		if help[0].Len() == 0 || help[0].String() != help[1].String() {
			t.Errorf("%s --help:\n%s\nand with all commands:\n%s", command.Name, &help[0], &help[1])
		}
		if models[0].Hidden != models[1].Hidden || models[0].Help != models[1].Help || !reflect.DeepEqual(models[0].Group, models[1].Group) {
			t.Errorf("%s: %+v, and with all commands %+v", command.Name, models[0], models[1])
		}
	}
}

// TestVariables holds that the variables are those of the parser.
func TestVariables(t *testing.T) {
	t.Parallel()
	var grammar cli
	parser, err := newParser(&grammar, nil, io.Discard, 80)
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]bool)
	_ = kong.Visit(parser.Model.Node, func(element kong.Visitable, next kong.Next) error {
		var names []string
		switch element := element.(type) {
		case *kong.Flag:
			names = element.Tag.Envs
		case *kong.Value:
			names = element.Tag.Envs
		}
		for _, name := range names {
			want[name] = true
		}
		return next(nil)
	})
	got := cmdline.Variables(reflect.TypeFor[cli]())
	if len(want) == 0 || !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
