package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/tbctl/tbctl/internal/manual"
	"github.com/tbctl/tbctl/internal/term"
)

type manCmd struct {
	Command []string `arg:"" optional:"" help:"The command whose page is meant, such as install or fleet plan; otherwise tbctl's own."`
	Dir     string   `placeholder:"DIR" help:"Write all pages into this directory instead of printing one."`
}

// Help is the long help text.
func (c *manCmd) Help() string {
	return `Prints a page of the manual, which has all that --help-all says. It is made out of the
grammar; its date is SOURCE_DATE_EPOCH, or that of the commit, or none.

Examples:

  tbctl man install | man -l -
  tbctl man fleet plan | man -l -
  tbctl man --dir man1
` + exitHelp()
}

// Run prints one page or writes all of them.
func (c *manCmd) Run(a *app) error {
	facts := manual.Tbctl()
	facts.Version, facts.Exit = readVersion().Version, manualExits()
	var err error
	if facts.Date, err = manual.Date(a.getenv("SOURCE_DATE_EPOCH"), readVersion().Time); err != nil {
		return usage("it takes seconds since 1970", "SOURCE_DATE_EPOCH: %w", err)
	}
	parser, err := newParser(&cli{}, a.config, io.Discard, 0)
	if err != nil {
		return fmt.Errorf("grammar: %w", err)
	}
	pages := manual.Pages(parser.Model, facts)
	if c.Dir != "" {
		if len(c.Command) > 0 {
			return usage("tbctl man COMMAND, or tbctl man --dir DIR", "--dir writes all pages")
		}
		written, err := manual.Write(c.Dir, pages)
		if err != nil {
			return err
		}
		a.emit(written, func(out *term.Stream) {
			for _, page := range written.Pages {
				out.Println(page.Path)
			}
		})
		return nil
	}
	name := manual.PageName(append([]string{"tbctl"}, c.Command...)...)
	index := slices.IndexFunc(pages, func(page manual.Page) bool { return page.Name == name })
	if index < 0 {
		return usage("tbctl --help lists the commands", "no command %s", strings.Join(c.Command, " "))
	}
	a.emit(pages[index], func(out *term.Stream) { _, _ = io.WriteString(out, pages[index].Roff) })
	return nil
}

// manualExits are the exit codes of the program.
func manualExits() []manual.Entry {
	var entries []manual.Entry
	for _, exit := range exits {
		entries = append(entries, manual.Entry{Name: strconv.Itoa(int(exit.code)), Text: exit.meaning})
	}
	return entries
}
