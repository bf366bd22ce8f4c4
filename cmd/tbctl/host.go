package main

import (
	"io"
	"os"

	"github.com/tbctl/tbctl/advisory/kept"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/vfs"
)

type hostCmd struct{}

// Help is the long help text.
func (c *hostCmd) Help() string {
	return `The remote end of tbctl fleet, which starts it by ssh and speaks HTTP/2 with it on its
standard input and output. It acts on the targets that this host's configuration
names, targets = ["/opt/a/tigerbeetle"], or on its target, and on nothing else.
` + exitHelp()
}

// Run answers until the other end is gone.
func (c *hostCmd) Run(a *app) error {
	in, ok := a.std.in.(io.ReadCloser)
	if !ok || term.IsTerminal(a.std.in) {
		return remote.ErrNoSession
	}
	warnings, err := host.Steady()
	a.warnAll(warnings)
	if err != nil {
		return err
	}
	store, err := a.depot("")
	if err != nil {
		return err
	}
	served := &remote.Host{
		Installer: a.installer(), Targets: a.settings().Targets(), Version: readVersion().Version, Store: store,
		Require: a.config.Text("require"), PublicKey: ownKey(a.config.Text("public-key")), Restart: a.config.List("restart"), Depot: a.config.Text("depot"),
		Registries: a.config.List("registries"), CAFile: a.config.Text("ca-file"),
		CopyFrom: a.config.List("copy-from"),
		Explain: func(err error, command, target string) string {
			known := a.known()
			known.Command, known.Line, known.About, known.Asked = command, nil, hints.About{Target: target}, true
			hint, _ := known.Explain(err, fault.Of(err))
			return hint
		},
		KeepAdvisories: func(list []byte, of fleet.Fence) error {
			return kept.KeepRollout(vfs.OS(), a.stateDir(), kept.Rollout{List: list, Plan: of.Plan, From: of.Holder.Who, SudoUser: a.getenv("SUDO_USER")})
		},
	}
	defer served.Close()
	return remote.Serve(a.ctx, in, a.std.out, served.Handler())
}

// ownKey is the public key of this host's configuration. By one that cannot be read nothing holds, and the host can still be looked at.
func ownKey(text string) string {
	if key, err := release.ReadPublicKey(text, os.Geteuid()); err == nil {
		return key
	}
	return text
}
