package main

import (
	"fmt"
	"time"

	"github.com/tbctl/tbctl/internal/demo"
	"github.com/tbctl/tbctl/internal/term"
)

type demoCmd struct {
	Fleet bool `help:"Show many hosts: three clusters on this machine, with a script in ssh's place."`
	Keep  bool `help:"Keep the temporary directory to look around in."`
}

// Help is the long help text.
func (c *demoCmd) Help() string {
	return `Does the main job in a temporary directory: refuses a download that was cut short,
installs a release while a replica runs, shows the replica armed, lets its cluster
upgrade, and refuses the way back that would do harm. With --fleet: plan, arm,
abort and promote for three clusters, with a host that is down, a controller that is
killed in the middle, and what one types next.

The releases are made of tbctl's own executable, and so are the stand-ins for replicas,
which treat their binary and their data file as TigerBeetle does and answer no client. It
needs no root, no network but the loopback address, no TigerBeetle and no Go; replicas need
Linux. No other file is touched, and no process is left.

Examples:

  tbctl demo
  tbctl demo --fleet
  tbctl demo -q
` + exitHelp()
}

// Run shows it.
func (c *demoCmd) Run(a *app) error {
	options := demo.Options{Fleet: c.Fleet, Keep: c.Keep}
	if !a.global.JSON && !a.global.Quiet {
		options.Out = a.out
	}
	result, err := demo.Run(a.ctx, options)
	if err != nil {
		if result != nil {
			a.result = result
		}
		return fmt.Errorf("demo: %w", err)
	}
	a.emit(result, func(out *term.Stream) {
		out.Printf("%s %d steps in %s, each as expected\n", out.Styles().Good.Render("done:"), len(result.Steps), result.Took.Round(100*time.Millisecond))
		if c.Keep && !a.global.Quiet {
			out.Printf("everything is still there: cd %s\n", result.Directory)
		}
		if c.Fleet && !a.global.Quiet {
			out.Printf("next, with hosts that ssh knows: tbctl fleet status HOST…, and then tbctl fleet plan RELEASE HOST… -o plan.json\n")
		}
	})
	return nil
}
