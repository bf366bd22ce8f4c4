package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/internal/handover"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/source"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
)

type storeCmd struct {
	Import storeImportCmd `cmd:"" help:"Fetch a release into the store, and verify it before it is there."`
	List   storeListCmd   `cmd:"" help:"Show which artifacts there are, and who vouched for them."`
	Verify storeVerifyCmd `cmd:"" help:"Read artifacts as a whole, and set aside what has changed."`
	Prune  storePruneCmd  `cmd:"" help:"Remove the artifacts that nothing on this host needs."`
	Push   storePushCmd   `cmd:"" help:"Bring an artifact of the store into a registry."`
	Serve  storeServeCmd  `cmd:"" help:"Give the artifacts to other hosts over HTTP, to be read only."`
}

// storeFlags say where the store is.
type storeFlags struct {
	Store string `more:"" placeholder:"DIR" env:"TBCTL_STORE" help:"The store of artifacts (${store})."`
}

// existing is depot for a command that makes nothing, see [settings.Settings.ExistingStore].
func (a *app) existing(named string) (*depot.Depot, error) {
	store, note, err := a.settings().ExistingStore(named, a.flag("store"))
	if note != "" {
		a.warnText(note)
	}
	return store, err
}

// depot is the store that is named, or the configuration's, or the default one.
func (a *app) depot(named string) (*depot.Depot, error) { return a.settings().Store(named) }

type storeImportCmd struct {
	Source   string        `arg:"" optional:"" help:"A release (0.17.8, 0.17.5-1, latest), a file, a directory of assets, a URL, or - for standard input."`
	Registry registryFlags `embed:""`
	From     sourceFlags   `embed:""`
}

// Help is the long help text.
func (c *storeImportCmd) Help() string {
	return `Fetches a release straight into the store, verifies the whole of it, and only then
gives it a name there: its SHA-256. What vouched for it is kept beside it. What is in the
store already, as --sha256, SHA256SUMS or the record of an earlier import tells, is
not fetched again.

From a registry it comes by way of tbctl-engines. A tag means what it names now; that is noted with
its digest. Without a tag it is the release that is named, or else the tag latest. With @sha256:HEX,
the digest that "tbctl store push" prints, that vouches for what comes.

From a repository of The Update Framework (TUF) it comes by way of tbctl-engines too: the metadata
there must be signed by enough of the keys that --root names, not have expired, and not be
older than what was seen before; it counts as a signature. --root is needed the first time;
then what the publisher signed since is known. A list of advisories that is there is taken
too, and used from then on.

Examples:

  tbctl store import 0.17.8
  tbctl store import ./tigerbeetle-x86_64-linux.zip --require digest
  tbctl store import 0.17.8 --platform aarch64-linux --mirror https://mirror.internal
  tbctl store import --from oci://registry.internal/tigerbeetle:0.17.8
  tbctl store import 0.17.8 --from tuf+https://releases.internal/tigerbeetle --root root.json
` + exitHelp(exitRejected, "the file is not whole, not trusted or not what was asked for; nothing was stored",
		exitUnknown, "whether it is stored durably is not known: run \"tbctl store verify\"")
}

// Run fetches, verifies and stores.
func (c *storeImportCmd) Run(a *app) error {
	store, err := a.depot(c.From.Store.Store)
	if err != nil {
		return err
	}
	found, err := c.From.find(a, c.Source, c.Registry)
	if err != nil {
		return err
	}
	defer found.Close()
	imported, err := a.bring(store, &found)
	if err != nil {
		return err
	}
	if found.Named != "" && !imported.Artifact.IsOf(found.Named) {
		a.warn("the tag %s names release %s in that registry: its name says something else than what it holds", found.Named, imported.Artifact.Release)
	}
	result := report.StoreImported{Store: store.Dir(), Imports: imported, Advisories: a.allAdvisories().Of(imported.Fetched.Subject(imported.Artifact.Release, imported.Artifact.SHA256))}
	a.advise(result.Advisories)
	name := shelf.PrefixDigest + imported.Artifact.SHA256
	if a.onCommandLine["store"] {
		name += " --store " + shell.File(c.From.Store.Store)
	}
	result.Next = []string{"tbctl install " + name, "tbctl fleet plan " + name + " -o plan.json"}
	a.emit(result, func(out *term.Stream) {
		render.StoreImported(out, &result, render.Trust(handover.Origin(found.Artifact, imported.Fetched)), a.global.Quiet)
	})
	return nil
}

// bring fetches, verifies and stores what was found.
func (a *app) bring(store *depot.Depot, found *source.Found) (shelf.Imports, error) {
	a.adviseTag(found.Artifact)
	imported, err := shelf.Import(a.ctx, store, found.Importing(whoAmI(), func(ctx context.Context, w io.Writer) (release.Fetched, error) {
		return a.fetch(ctx, found.Artifact, w)
	}))
	a.progress.Done()
	return imported, err
}

// whoAmI is user and machine, for a receipt.
func whoAmI() string {
	name, _ := os.Hostname()
	return userName() + "@" + name
}

type storeListCmd struct {
	Store storeFlags `embed:""`
}

// Help is the long help text.
func (c *storeListCmd) Help() string {
	return `Shows the artifacts of the store, the newest release first: what each says of itself,
and its receipts. Nothing here proves that its bytes are still what they were: see
"tbctl store verify".

Examples:

  tbctl store list
  tbctl store list --json
` + exitHelp()
}

// Run lists the artifacts.
func (c *storeListCmd) Run(a *app) error {
	store, err := a.existing(c.Store.Store)
	if err != nil {
		return err
	}
	result := report.StoreListed{Store: store.Dir()}
	if result.Artifacts, err = shelf.List(a.ctx, store); err != nil {
		return err
	}
	if result.SetAside, err = store.SetAside(); err != nil {
		return err
	}
	if result.Incoming, err = store.Incoming(); err != nil {
		return err
	}
	a.emit(result, func(out *term.Stream) { render.StoreListed(out, &result, time.Now()) })
	return nil
}
