package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tbctl/tbctl/advisory/kept"
	"github.com/tbctl/tbctl/completions"
	"github.com/tbctl/tbctl/internal/candidates"
	"github.com/tbctl/tbctl/internal/settings"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

type completionCmd struct {
	Shell completions.Shell `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is the long help text.
func (c *completionCmd) Help() string {
	return `Prints a script that completes commands, flags, releases, targets and file names on
the TAB key. It asks tbctl itself on each TAB, never the network.

For every user, as the packages install it:

  tbctl completion bash > /usr/share/bash-completion/completions/tbctl
  tbctl completion zsh > /usr/share/zsh/vendor-completions/_tbctl
  tbctl completion fish > /usr/share/fish/vendor_completions.d/tbctl.fish

For yourself, in ~/.bashrc, in ~/.zshrc behind compinit, or as a file:

  source <(tbctl completion bash)
  source <(tbctl completion zsh)
  tbctl completion fish > ~/.config/fish/completions/tbctl.fish

Examples:

  tbctl completion bash
` + exitHelp()
}

// completionScript is the result of the command.
type completionScript struct {
	Shell  completions.Shell `json:"shell"`
	Script string            `json:"script"`
}

// Run prints the script.
func (c *completionCmd) Run(a *app) error {
	script, err := completions.Script("tbctl", c.Shell)
	if err != nil {
		return err
	}
	a.emit(completionScript{c.Shell, script}, func(out *term.Stream) { _, _ = io.WriteString(out, script) })
	return nil
}

// completionPatience bounds the time that a TAB may take, such as on a file
// system that hangs.
const completionPatience = time.Second

// complete prints what could stand at the cursor. args are what a completion
// script says: "--" and the words after the program's name. It is asked at each
// TAB and says nothing of what is wrong, such as with the configuration: the
// command itself will.
func (a *app) complete(args []string) error {
	a.config, _ = settings.Load(a.getenv)
	parser, err := newParser(&cli{}, a.config, io.Discard, 0)
	if err != nil {
		return fmt.Errorf("grammar: %w", err)
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	answered := make(chan completions.Answer, 1)
	go func() { answered <- completions.Complete(parser.Model, args, a.values) }()
	select {
	case answer := <-answered:
		_, err = answer.WriteTo(a.out)
		return err
	case <-time.After(completionPatience):
		return nil
	}
}

// values knows what may stand for a value on this host, by what the words before the cursor, the environment and the configuration name.
func (a *app) values(request completions.Request) (completions.Answer, bool) {
	a.global.StateDir = a.said(request, "state-dir", "TBCTL_STATE_DIR")
	store, err := a.depot(a.said(request, "store", "TBCTL_STORE"))
	if err != nil {
		store = nil
	}
	advisories, err := kept.Read(vfs.OS(), a.stateDir())
	if err != nil {
		advisories = nil // what is built in
	}
	here := candidates.Host{
		Store: store, Target: a.target(a.said(request, "target", "TBCTL_TARGET")), Journal: a.journal(),
		List: release.Options{
			Advisories: advisories,
			Mirror:     a.said(request, "mirror", "TBCTL_MIRROR"), CacheDir: a.settings().CacheDir(a.said(request, "cache-dir", "TBCTL_CACHE_DIR")),
			APIURL: strings.TrimRight(a.getenv("TBCTL_API_URL"), "/"),
		},
	}
	return here.Answer(a.ctx, request)
}

// said is what the words before the cursor, the environment or the configuration
// say for a flag.
func (a *app) said(request completions.Request, name, variable string) string {
	if given := request.Given(name); len(given) > 0 {
		return given[len(given)-1]
	}
	if value := a.getenv(variable); value != "" {
		return value
	}
	return a.config.Text(name)
}
