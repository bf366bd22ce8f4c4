package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/internal/manual"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/vfs"
)

type manCmd struct {
	Command string `arg:"" optional:"" help:"The command whose page is meant; otherwise tbctl's own."`
	Dir     string `placeholder:"DIR" help:"Write all pages into this directory instead of printing one."`
}

// Help is the long help text.
func (c *manCmd) Help() string {
	return `Makes the manual pages out of the grammar. Their date is SOURCE_DATE_EPOCH, or that
of the commit, or none.

Examples:

  tbctl man install | man -l -
  tbctl man --dir man1
` + exitHelp()
}

// manualPage is the result of the command for one page.
type manualPage struct {
	Name string `json:"name"`
	Path string `json:"path,omitempty"`
	Roff string `json:"roff,omitempty"`
}

// Run prints one page or writes all of them.
func (c *manCmd) Run(a *app) error {
	facts := manual.Tbctl()
	facts.Version, facts.Exit = readVersion().Version, manualExits()
	var err error
	if facts.Date, err = a.manualDate(); err != nil {
		return err
	}
	parser, err := newParser(&cli{}, a.config, io.Discard, 0)
	if err != nil {
		return fmt.Errorf("grammar: %w", err)
	}
	pages := manual.Pages(parser.Model, facts)
	if c.Dir != "" {
		if c.Command != "" {
			return usage("tbctl man COMMAND, or tbctl man --dir DIR", "--dir writes all pages")
		}
		return c.write(a, pages)
	}
	name := "tbctl.1"
	if c.Command != "" {
		name = "tbctl-" + c.Command + ".1"
	}
	index := slices.IndexFunc(pages, func(page manual.Page) bool { return page.Name == name })
	if index < 0 {
		return usage("tbctl --help lists the commands", "no command %s", c.Command)
	}
	a.emit(manualPage{Name: name, Roff: pages[index].Roff}, func(out *term.Stream) { _, _ = io.WriteString(out, pages[index].Roff) })
	return nil
}

// write writes all pages, each in one step.
func (c *manCmd) write(a *app, pages []manual.Page) error {
	if err := durable.MkdirAll(vfs.OS(), c.Dir, 0o755); err != nil {
		return fmt.Errorf("manual pages: %w", err)
	}
	var written []manualPage
	for _, page := range pages {
		name := filepath.Join(c.Dir, page.Name)
		err := durable.WriteFile(vfs.OS(), name, 0o644, true, func(w io.Writer) error {
			_, err := io.WriteString(w, page.Roff)
			return err
		})
		if err != nil {
			return fmt.Errorf("manual page %s: %w", page.Name, err)
		}
		written = append(written, manualPage{Name: page.Name, Path: name})
	}
	a.emit(map[string]any{"pages": written}, func(out *term.Stream) {
		for _, page := range written {
			out.Println(page.Path)
		}
	})
	return nil
}

// manualDate is the date of the pages: the same for the same sources.
func (a *app) manualDate() (time.Time, error) {
	if text := a.getenv("SOURCE_DATE_EPOCH"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds < 0 {
			return time.Time{}, usage("it takes seconds since 1970", "SOURCE_DATE_EPOCH: %q is not a time", text)
		}
		return time.Unix(seconds, 0), nil
	}
	date, err := time.Parse(time.RFC3339, readVersion().Time)
	if err != nil {
		return time.Time{}, nil // a build without a commit has no date
	}
	return date, nil
}

// manualExits are the exit codes of the program.
func manualExits() []manual.Entry {
	var entries []manual.Entry
	for _, exit := range exits {
		entries = append(entries, manual.Entry{Name: strconv.Itoa(int(exit.code)), Text: exit.meaning})
	}
	return entries
}
