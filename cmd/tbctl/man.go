package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/internal/config"
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
	facts, err := a.manualFacts()
	if err != nil {
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

// manualFacts are what the pages say beside the grammar.
func (a *app) manualFacts() (manual.Facts, error) {
	date, err := a.manualDate()
	if err != nil {
		return manual.Facts{}, err
	}
	return manual.Facts{
		Version: readVersion().Version,
		Date:    date,
		Description: `Puts TigerBeetle's multiversion binaries on servers: finds out everything that
could go wrong before the first byte is fetched, verifies what is on the disk, keeps
owner, mode, capabilities and label, and swaps the new file with the installed one in
one atomic, durable step. The replaced file stays beside it, for "tbctl rollback".

A command never asks and needs no terminal. What it found out is on standard output,
all else on standard error. With --json it prints exactly one document on standard
output, on failure too; its exit code is the same with and without it.`,
		Exit: manualExits(),
		Environment: []manual.Entry{
			{Name: "TBCTL_CONFIG", Text: "The only configuration file to read."},
			{Name: "NO_COLOR", Text: "If not empty, nothing is coloured unless --color=always."},
			{Name: "GITHUB_TOKEN", Text: "Sent to GitHub's API, which then allows more requests, and to nobody else."},
			{Name: "HTTPS_PROXY, HTTP_PROXY, NO_PROXY", Text: "The proxy for downloads, and what needs none."},
			{Name: "XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_CACHE_HOME", Text: "Where the files of a user who is not root are."},
		},
		Files: []manual.Entry{
			{Name: config.System, Text: `The host's configuration, see "tbctl config".`},
			{Name: "~/.config/tbctl/config.toml", Text: "The user's, which stands over it."},
			{Name: "/var/lib/tbctl/history.jsonl", Text: "What was done on this host; ~/.local/state/tbctl/history.jsonl for users."},
			{Name: ".NAME.tbctl-state", Text: "Beside TARGET: what is known of it, for the next command."},
			{Name: ".NAME.tbctl-lock", Text: "Beside TARGET: the lock of the command that works on it."},
			{Name: "/var/cache/tbctl", Text: "Interrupted downloads and lists of releases; ~/.cache/tbctl for users."},
			{Name: "TARGET-old", Text: "The binary that the last installation replaced."},
		},
		Examples: `tbctl status
tbctl install 0.17.8 --dry-run
tbctl install 0.17.8
tbctl rollback --stopped --data-file /var/lib/tigerbeetle/0_0.tigerbeetle`,
	}, nil
}
