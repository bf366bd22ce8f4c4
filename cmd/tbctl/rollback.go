package main

import (
	"time"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/multiversion"
)

type rollbackCmd struct {
	Target string        `arg:"" optional:"" env:"TBCTL_TARGET" help:"The installed binary (${target})."`
	DryRun bool          `short:"n" help:"Check everything and print the plan, but change nothing."`
	Again  bool          `help:"Go forward again, after a rollback."`
	SHA256 string        `more:"" name:"sha256" placeholder:"HEX" help:"Put TARGET-old back if this is its SHA-256, whatever is recorded of it."`
	Wait   time.Duration `more:"" placeholder:"DURATION" help:"Wait that long for another tbctl that works on TARGET, and for a rollout that holds it."`

	DespiteRollout bool `more:"" help:"Go through though a rollout holds this host. It is recorded, and shown by every fleet status."`

	Fit fitFlags `embed:""`
}

// Help is the long help text.
func (c *rollbackCmd) Help() string {
	return `Makes TARGET and TARGET-old change places in one atomic, durable step, under the
same checks as an installation. The way back is there before the cluster has upgraded:
stop the replica, roll back with --stopped, start it. A replica that has noticed the newer
binary holds it in memory and still upgrades with its cluster, whatever stands on the disk.
After the cluster has upgraded there is no way back, only forward.

Running it again changes nothing; --again goes forward again.

TARGET-old must be the file that was displaced, by its SHA-256: another one is refused,
unless --sha256 names it. It gets the installed file's owner, mode, ACL, capabilities
and label; while it is only kept it lies there without capabilities and, where root
installs, as root's. Where others than root may write its directory, it gets
capabilities, setuid and another owner only if root's history knows it or --sha256
names it, and a copy of it is put back.

Something must tell which release the cluster runs: a replica that runs here, a data file
that was seen or named before, --data-file, or --running. A file that lacks the newest
release that a replica was ever seen at is refused, unless one of those two flags says what
the cluster needs now.

Examples:

  tbctl rollback --dry-run
  tbctl rollback --stopped --data-file /var/lib/tigerbeetle/0_0.tigerbeetle
  tbctl rollback /opt/tigerbeetle/tigerbeetle --running 0.17.8
` + exitHelp(exitRejected, "the previous file is damaged, or not the one that was displaced; nothing has changed",
		exitRefused, "there is none, or it does not fit what runs; nothing has changed",
		exitBusy, "another tbctl works on TARGET; nothing has changed",
		exitFenced, "a rollout holds this host; nothing has changed",
		exitUnknown, "the state on disk is not known: run \"tbctl status TARGET\"")
}

// Run rolls back and reports.
func (c *rollbackCmd) Run(a *app) error {
	if c.Wait < 0 {
		return usage("--wait 1m", "a time to wait cannot be negative")
	}
	if c.SHA256 != "" {
		sum, err := sha.Parse(c.SHA256)
		if err != nil {
			return usage("sha256sum prints it", "--sha256: %w", err)
		}
		c.SHA256 = sum
	}
	site := a.site(a.target(c.Target), c.Fit.said())
	ctx, end := a.untilReaderGone()
	defer end()
	outcome, err := site.Rollback(ctx, install.Request{
		Again: c.Again, OldSHA256: c.SHA256, Wait: c.Wait, DespiteRollout: c.DespiteRollout, Host: multiversion.ThisPlatform(), Guard: a.refuseUnread,
	}, c.DryRun)
	err = orReaderGone(ctx, outcome, err)
	a.emitOutcome(site, outcome, err)
	return err
}
