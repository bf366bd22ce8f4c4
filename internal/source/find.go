package source

import (
	"context"
	"io"
	"path/filepath"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/internal/fetch"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

// Elsewhere says that a release is in a registry or a TUF repository. The zero value: it is in neither.
type Elsewhere struct {
	From      string // oci://… or tuf+https://…
	PlainHTTP bool
	Root      string // the file of the TUF repository's root
}

// check refuses what does not belong together.
func (e *Elsewhere) check(argument string) error {
	switch {
	case engine.IsTUF(e.From):
	case e.Root != "":
		return hints.Usage("tbctl store import 0.17.8 --from tuf+https://HOST/PATH --root FILE", "--root is of --from tuf+https://HOST/PATH, which is not there")
	case (argument == "") == (e.From == ""):
		return hints.Usage("tbctl store import 0.17.8, or tbctl store import --from oci://HOST/REPOSITORY:TAG", "either a source is named or --from")
	case e.From == "" && e.PlainHTTP:
		return hints.Usage("tbctl store import --from oci://HOST/REPOSITORY:TAG --plain-http", "--plain-http is of --from, which is not there")
	}
	return nil
}

// Found is the artifact that is meant.
type Found struct {
	release.Artifact

	// Advisories are the list of the TUF repository that it is in; nil: it has none.
	Advisories *engine.SignedList

	key     string // the public key
	signed  *depot.Signed
	program *engine.Engine // that fetches it; nil: none is needed
}

// Close ends the program that fetches it, if there is one.
func (f *Found) Close() error { return f.program.Close() }

// Importing is how it is brought into a store, by somebody and by a fetch.
func (f *Found) Importing(who string, get func(context.Context, io.Writer) (release.Fetched, error)) shelf.Importing {
	return shelf.Importing{
		Artifact: f.Artifact, Source: f.Absolute(), SizeHint: fetch.SizeHint(f.Artifact), Who: who, PublicKey: f.key, Signed: f.signed,
		Fetch: func(ctx context.Context, draft *durable.Draft) (release.Fetched, error) { return get(ctx, draft) },
		Judge: fetch.Judgement(f.Artifact, f.Place()),
	}
}

// Find says which artifact the argument means, here or elsewhere. The caller closes what is found.
func (q *Question) Find(ctx context.Context, argument string, at Elsewhere) (Found, error) {
	if err := at.check(argument); err != nil {
		return Found{}, err
	}
	options, err := q.Check()
	if err != nil {
		return Found{}, err
	}
	found := Found{key: options.PublicKey}
	if at.From == "" {
		found.Artifact, err = q.resolve(ctx, argument, options)
		return found, err
	}
	if options.Platform == "" {
		if options.Platform, err = release.HostPlatform(); err != nil {
			return found, err
		}
	}
	if engine.IsTUF(at.From) {
		err = found.tuf(ctx, argument, at, options, q.Settings.StateDir())
	} else {
		err = found.registry(ctx, at, options)
	}
	if err != nil {
		_ = found.Close() // nothing is fetched
		return Found{}, err
	}
	return found, nil
}

// registry finds what a registry has.
func (f *Found) registry(ctx context.Context, at Elsewhere, options release.Options) error {
	if err := checkKey(options); err != nil {
		return err
	}
	ref, err := Reference(at.From, options.Platform, at.PlainHTTP, options.CAFile)
	if err != nil {
		return err
	}
	if f.program, err = engine.Open(ctx); err != nil {
		return err
	}
	resolved, err := f.program.Resolve(ctx, ref)
	if err == nil {
		f.Artifact, err = f.program.Artifact(ref, resolved, options)
	}
	return err
}

// Reference checks a reference as far as it can be checked here.
func Reference(where string, platform multiversion.Platform, plain bool, caFile string) (engine.Reference, error) {
	if !engine.IsOCI(where) {
		return engine.Reference{}, hints.Usage("write it as "+engine.SchemeOCI+"HOST/REPOSITORY:TAG", "%q does not name a registry", where)
	}
	caFile, err := absolute(caFile)
	return engine.Reference{Where: where, Platform: string(platform), PlainHTTP: plain, CAFile: caFile}, err
}

// tuf finds a release of a TUF repository: its signed metadata counts as a signature. What was seen of it is kept in the directory of the state.
func (f *Found) tuf(ctx context.Context, argument string, at Elsewhere, options release.Options, stateDir string) error {
	tag, err := release.ParseTag(argument)
	if err != nil || tag == release.Latest {
		return hints.Usage("tbctl store import 0.17.8 --from "+at.From, "from a TUF repository a release is taken by its number, not %q", argument)
	}
	wanted := engine.Wanted{Names: engine.TargetNames(tag, options.Platform, options.Debug)}
	if wanted.URL, err = engine.ParseTUF(at.From, at.PlainHTTP); err != nil {
		return err
	}
	if wanted.Dir, err = absolute(filepath.Join(stateDir, "tuf")); err != nil {
		return err
	}
	if wanted.CAFile, err = absolute(options.CAFile); err != nil {
		return err
	}
	if at.Root != "" {
		if wanted.Root, err = readRoot(at.Root); err != nil {
			return err
		}
	}
	if f.program, err = engine.Open(ctx); err != nil {
		return err
	}
	target, err := f.program.Find(ctx, wanted)
	if err == nil {
		f.signed, f.Advisories = &target.Signed, target.Advisories
		f.Artifact, err = target.Artifact(tag, options)
	}
	return err
}

// absolute is a path as another process can use it; "" stays.
func absolute(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	return filepath.Abs(path)
}

// readRoot reads a root.json; what it says is judged where it is used.
func readRoot(name string) ([]byte, error) {
	file, _, err := vfs.OpenFile(name, vfs.RegularOnly(vfs.ErrNotRegular))
	if err != nil {
		return nil, input.OfFile(name, err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, engine.RootSizeMax+1))
	if err == nil && len(text) > engine.RootSizeMax {
		err = engine.ErrTUFLong
	}
	return text, err
}
