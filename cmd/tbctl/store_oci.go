package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/source"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/rollout"
)

// registry is where hosts fetch an artifact by themselves, by the list of hosts; nil: nowhere. Without tbctl-engines they are sent it, which
// is said.
func (a *app) registry(where string, artifact *rollout.Artifact) (*rollout.Registry, func(), error) {
	if where == "" {
		return nil, func() {}, nil
	}
	ref, err := engine.ParseRepository(where)
	if err != nil {
		return nil, nil, usage(`artifacts = "oci://registry.internal/tigerbeetle"`, "artifacts, from the list of hosts: %w", err)
	}
	place := strings.TrimPrefix(ref.Where, engine.SchemeOCI)
	started, err := engine.Open(a.ctx)
	if err != nil {
		if a.ctx.Err() != nil {
			return nil, nil, err
		}
		a.warn("hosts fetch nothing from %s, and are sent what they lack: %v", place, err)
		return nil, func() {}, nil
	}
	blob := engine.Blob{SHA256: artifact.SHA256, Size: artifact.Size}
	locate := func(ctx context.Context) (string, string, error) {
		found, err := started.Locate(ctx, ref, blob)
		return found.URL, found.Token, err
	}
	return &rollout.Registry{Place: place, Locate: locate}, func() { _ = started.Close() }, nil // it has nothing open
}

type storePushCmd struct {
	Artifact string `arg:"" help:"sha256:HEX or store:RELEASE of the store."`
	Where    string `arg:"" help:"oci://HOST/REPOSITORY[:TAG]; without a tag it is the release."`

	PlainHTTP bool                  `more:"" name:"plain-http" help:"Speak with the registry without TLS."`
	CAFile    string                `more:"" name:"ca-file" placeholder:"FILE" env:"TBCTL_CA_FILE" help:"Trust the certificates in this PEM file too."`
	Platform  multiversion.Platform `placeholder:"PLATFORM" env:"TBCTL_PLATFORM" help:"With store:RELEASE: x86_64-linux, aarch64-linux, x86_64-windows or universal-macos; otherwise this host's."`
	Store     storeFlags            `embed:""`
}

// Help is the long help text.
func (c *storePushCmd) Help() string {
	return `Reads the artifact as a whole, and brings it into a registry of OCI artifacts, by way of
tbctl-engines: the bare executable as a blob, whose digest is that of the artifact, and who
vouched for it here beside it, with a minisign signature of it if the store has one. The tag names a list of platforms; those of others stay as
they are. A tag that names something else is refused, and so is one that is the number of another
release. It says what the tag named before.

Who may write there is known from docker's own configuration: docker login, podman login.

Examples:

  tbctl store push store:0.17.8 oci://registry.internal/tigerbeetle
  tbctl store push sha256:73aa… oci://registry.internal/tigerbeetle:stable
` + exitHelp(exitRejected, "the artifact has changed in the store; nothing was pushed", exitRefused, "the tag names something that tbctl did not push")
}

// storePushed is the result of the command.
type storePushed struct {
	Store    string                `json:"store"` // its directory
	SHA256   string                `json:"sha256"`
	Release  multiversion.Release  `json:"release"`
	Platform multiversion.Platform `json:"platform"`
	engine.Pushed
}

// Run pushes.
func (c *storePushCmd) Run(a *app) error {
	store, err := a.depot(c.Store.Store)
	if err != nil {
		return err
	}
	from := sourceFlags{Place: placeFlags{Platform: c.Platform}, Store: c.Store}
	if !shelf.IsName(c.Artifact) {
		return usage("see what there is: tbctl store list", "%q is neither sha256:HEX nor store:RELEASE", c.Artifact)
	}
	artifact, err := from.resolve(a, c.Artifact)
	if err != nil {
		return err
	}
	digest, err := sha.Parse(artifact.Location)
	if err != nil {
		return err
	}
	stored, err := store.Stat(digest)
	if err != nil {
		return err
	}
	item := shelf.Describe(store, stored)
	if item.Problem != "" {
		return rejected("look at it: tbctl store verify "+shelf.PrefixDigest+digest, fmt.Errorf("%s%s: %s", shelf.PrefixDigest, digest, item.Problem))
	}
	ref, err := source.Reference(c.Where, item.Platform, c.PlainHTTP, c.CAFile)
	if err != nil {
		return err
	}
	_, name, _ := strings.Cut(path.Base(c.Where), ":")
	if tag, err := release.ParseTag(name); err == nil && tag != release.Latest && !item.IsOf(tag) {
		return refused("leave the tag out, and it is the release", fmt.Errorf("the tag %s is that of another release than the artifact, which is %s", tag, item.Release))
	}
	a.progress.Start("reading the artifact", -1)
	err = store.Check(a.ctx, digest)
	a.progress.Done()
	if err != nil {
		return err
	}
	receipts, err := json.Marshal(item.Believed())
	if err != nil {
		return err
	}
	registry, err := engine.Open(a.ctx)
	if err != nil {
		return err
	}
	defer registry.Close()
	a.progress.Start("pushing", -1)
	result := storePushed{Store: store.Dir(), SHA256: digest, Release: item.Release, Platform: item.Platform}
	result.Pushed, err = registry.Push(a.ctx, engine.Push{
		Reference: ref, Path: store.Path(digest), Blob: engine.Blob{SHA256: digest, Size: item.Size}, Version: string(item.Tag()),
		Source: importedFrom(&item), Created: item.Stored.UTC().Format(time.RFC3339), Receipts: receipts,
		Signature: signatureOf(&item),
	})
	a.progress.Done()
	if err != nil {
		return err
	}
	a.emit(result, func(out *term.Stream) {
		done := "pushed:"
		if result.Already {
			done = "ok, the executable was there:"
		}
		out.Printf("%s %s\n", out.Styles().Good.Render(done), term.Printable(result.Place))
		fields := [][2]string{{"release", fmt.Sprintf("%s for %s", item.Release, item.Platform)}}
		if result.Before != "" {
			fields = append(fields, [2]string{"before", term.Printable(fmt.Sprintf("the tag named %s, release %s", result.Before, cmp.Or(result.BeforeVersion, "unknown")))})
		}
		render.Fields(out, append(fields, [2]string{"next", "tbctl store import --from " + shell.File(result.Place)}))
	})
	return nil
}

// signatureOf is the newest signature of an artifact's own bytes; "": there is none.
func signatureOf(item *shelf.Item) string {
	for index := range slices.Backward(item.Receipts) {
		if signature := item.Receipts[index].Signature; signature != "" {
			return signature
		}
	}
	return ""
}

// importedFrom is where an artifact came from, where that is a place on the network.
func importedFrom(item *shelf.Item) string {
	if receipt := shelf.Imported(&item.Artifact); receipt != nil && strings.HasPrefix(receipt.Source, "https://") {
		return receipt.Source
	}
	return ""
}
