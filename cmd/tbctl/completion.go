package main

import (
	"fmt"
	"io"
	"time"

	"github.com/tbctl/tbctl/completions"
	"github.com/tbctl/tbctl/internal/term"
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
	a.config, _ = loadConfig(a.getenv)
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
