package main

import (
	"fmt"

	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/settings"
	"github.com/tbctl/tbctl/internal/term"
)

// settings are what is set for this process.
func (a *app) settings() settings.Settings {
	return settings.Settings{Config: a.config, Getenv: a.getenv, State: a.global.StateDir}
}

func (a *app) target(argument string) string { return a.settings().Target(argument) }
func (a *app) stateDir() string              { return a.settings().StateDir() }

// ownDirs are where tbctl keeps its own files.
func (a *app) ownDirs() []string { return []string{a.stateDir(), a.settings().StoreDir("")} }

type configCmd struct {
	Source sourceFlags `embed:""`
}

// Help is the long help text.
func (c *configCmd) Help() string {
	return `Shows each setting and where it comes from: a flag, an environment variable, the
user's configuration file, the host's (` + config.System + `), or the default. So it
does the list of hosts that tbctl fleet would use, and the line of each of its settings.

A configuration file is TOML with the names below:

  target = "/opt/tigerbeetle/tigerbeetle"
  mirror = "https://mirror.internal/{tag}/{asset}"
  require = "digest"

Example:

  tbctl config
` + exitHelp()
}

// Run shows the settings.
func (c *configCmd) Run(a *app) error {
	if _, err := c.Source.question(a).Check(); err != nil {
		return err
	}
	shown, err := a.settings().Show(a.flag)
	if err != nil {
		a.warn("the list of hosts cannot be used: %v", err)
	}
	a.emit(shown, func(out *term.Stream) { render.Config(out, shown) })
	return nil
}

// flag is the command's flag of this name; nil: it has none.
func (a *app) flag(name string) *settings.Flag {
	for _, flag := range a.flags {
		if flag.Name == name {
			return &settings.Flag{Value: fmt.Sprint(flag.Target.Interface()), Given: a.onCommandLine[name], Variables: flag.Tag.Envs}
		}
	}
	return nil
}
