// Package source knows what the words of a command line that name a release come to: which artifact is fetched, from where, and what
// must vouch for it. Its errors are for the one who typed them.
package source

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/cmdline"
	"github.com/tbctl/tbctl/internal/handover"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/internal/settings"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

// A Question is what a command line says of a release besides its name.
type Question struct {
	Options release.Options // as the flags have them: the public key may be the name of a file
	Store   string          // the store that is named; "": the usual one
	Target  string          // where executables are looked for that need not be fetched; "": the usual one

	Command  string // such as "install"
	Line     hints.Line
	Settings settings.Settings
	Flag     func(name string) *settings.Flag // of the command; nil: it has none
	Warn     func(text string)
}

func (q *Question) given(flag string) bool {
	found := q.Flag(flag)
	return found != nil && found.Given
}

// Check returns the library's options for the flags, or what is wrong with these.
func (q *Question) Check() (release.Options, error) {
	options := q.Options
	var err error
	user := os.Geteuid()
	if q.given("public-key") {
		user = -1
	}
	if options.PublicKey, err = release.ReadPublicKey(options.PublicKey, user); err != nil {
		hint := "--public-key takes a file, or the key itself: the line that begins with RW"
		if errors.Is(err, release.ErrOthersMayWrite) {
			hint = "chown root FILE; chmod go-w FILE and its directory; or name it to use it as it is: --public-key " + shell.File(q.Options.PublicKey)
		}
		return options, hints.Usage(hint, "%w", err)
	}
	if err := options.Require.Check(); err != nil {
		where, hint := "--require", "--require digest, or --require signature"
		if !q.given("require") {
			where, hint = "require, from "+q.Settings.Line("require", q.Flag("require")).Origin, "there it is digest or signature"
		}
		return options, hints.Usage(hint, "%s: %w", where, err)
	}
	options.ExactPlatform = q.given("platform")
	options.Held = q.held()
	return options, nil
}

// held opens what this host has of releases: what is installed, what was before, and the store. It is nil where nothing is.
func (q *Question) held() func() *delta.Files {
	target := q.Settings.Target(q.Target)
	store, err := q.Settings.Store(q.Store)
	if err != nil {
		return nil
	}
	_, targetErr := vfs.Stat(target)
	_, storeErr := vfs.Stat(store.Dir())
	if targetErr != nil && storeErr != nil {
		return nil
	}
	return func() *delta.Files { return &host.OpenHeld(vfs.OS(), target, store).Files }
}

// checkKey refuses to ask for a signature without a key.
func checkKey(options release.Options) error {
	if options.Require == release.RequireSignature && options.PublicKey == "" {
		return hints.Usage("--public-key FILE", "a signature is required, but no public key given")
	}
	return nil
}

// resolve says what the argument means. Only of the newest release a mirror is asked.
func (q *Question) resolve(ctx context.Context, argument string, options release.Options) (release.Artifact, error) {
	if shelf.IsName(argument) { // of the store's a receipt may tell of a signature
		return q.stored(ctx, argument, options)
	}
	if err := checkKey(options); err != nil {
		return release.Artifact{}, err
	}
	if argument == "-" {
		if err := cmdline.CheckStdin(q.Line, options.Stdin); err != nil {
			return release.Artifact{}, err
		}
	}
	artifact, err := release.Resolve(ctx, argument, options)
	if err != nil {
		return artifact, cmdline.Unresolved(ctx, q.Line, argument, options.Mirror, err)
	}
	return artifact, q.checkFile(artifact)
}

// checkFile refuses what chooses an asset of a release where a file is named, and what asks for one by its name. Other commands than
// install, which compares it with the host's, take the platform as what the file must be for.
func (q *Question) checkFile(artifact release.Artifact) error {
	if slices.Contains([]release.SourceKind{release.SourceFile, release.SourceURL, release.SourceStdin}, artifact.Source) {
		for _, name := range []string{"debug", "platform"} {
			if q.given(name) && (name == "debug" || q.Command == "install") {
				return hints.Usage("leave it out: the file says what it is, see tbctl inspect", "--%s chooses an asset of a release, and %s is one file", name, artifact.Place())
			}
		}
	}
	if q.Options.AskGitHub && q.given("github-digest") && !artifact.NamesRelease() {
		return hints.Usage("name the release: tbctl "+q.Command+" RELEASE --mirror DIR-OR-URL --github-digest; or give its digest: --sha256 HEX",
			"--github-digest: GitHub is asked by the name of a release, and %s names none", artifact.Place())
	}
	return nil
}

// stored is the artifact of the store that the argument names.
func (q *Question) stored(ctx context.Context, argument string, options release.Options) (release.Artifact, error) {
	store, note, err := q.Settings.ExistingStore(q.Store, q.Flag("store"))
	if note != "" {
		q.Warn(note)
	}
	if err != nil {
		return release.Artifact{}, err
	}
	if options.Keep { // a dry run changes nothing, also where an artifact has changed
		store = store.Looking()
	}
	return shelf.Resolve(ctx, store, argument, options)
}

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
	case engine.IsOCI(e.From) && argument != "":
		return e.atTag(argument)
	case (argument == "") == (e.From == ""):
		return hints.Usage("tbctl store import 0.17.8, or tbctl store import --from oci://HOST/REPOSITORY:TAG", "either a source is named or --from")
	case e.From == "" && e.PlainHTTP:
		return hints.Usage("tbctl store import --from oci://HOST/REPOSITORY:TAG --plain-http", "--plain-http is of --from, which is not there")
	}
	return nil
}

// atTag takes a release that is named besides a repository of a registry as its tag.
func (e *Elsewhere) atTag(argument string) error {
	tag, err := release.ParseTag(argument)
	switch _, rest, _ := strings.Cut(strings.TrimPrefix(e.From, engine.SchemeOCI), "/"); {
	case err != nil:
		return hints.Usage("tbctl store import --from "+shell.Word(release.Redact(e.From)), "either a source is named or --from, and %q is no release's number", argument)
	case strings.ContainsAny(rest, ":@"):
		return hints.Usage("leave one of them out: tbctl store import --from "+shell.Word(release.Redact(e.From)), "the release %s is named, and --from names a tag or a digest", argument)
	}
	e.From += ":" + string(tag)
	return nil
}

// named is the release that the tag in a registry says; "": it says none.
func (e *Elsewhere) named() release.Tag {
	if !engine.IsOCI(e.From) || strings.Contains(e.From, "@") {
		return ""
	}
	_, name, _ := strings.Cut(path.Base(e.From), ":")
	if tag, err := release.ParseTag(name); err == nil && tag != release.Latest {
		return tag
	}
	return ""
}

// Found is the artifact that is meant.
type Found struct {
	release.Artifact

	// Advisories are the list of the TUF repository that it is in; nil: it has none.
	Advisories *engine.SignedList
	// Named is the release that its tag in a registry says it is; "": it says none.
	Named release.Tag

	key     string // the public key
	signed  *depot.Signed
	program *engine.Engine // that fetches it; nil: none is needed
}

// Close ends the program that fetches it, if there is one.
func (f *Found) Close() error { return f.program.Close() }

// Importing is how it is brought into a store, by somebody and by a fetch.
func (f *Found) Importing(who string, get func(context.Context, io.Writer) (release.Fetched, error)) shelf.Importing {
	return shelf.Importing{
		Artifact: f.Artifact, Source: f.Absolute(), SizeHint: handover.SizeHint(f.Artifact), Who: who, PublicKey: f.key, Signed: f.signed,
		Fetch: func(ctx context.Context, draft *durable.Draft) (release.Fetched, error) { return get(ctx, draft) },
		Judge: handover.CheckWanted(f.Artifact, f.Place()),
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
	found := Found{key: options.PublicKey, Named: at.named()}
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
	host, _, _ := strings.Cut(strings.TrimPrefix(where, engine.SchemeOCI), "/")
	if user := strings.LastIndex(host, "@"); user >= 0 { // what is before it may be a password, and is not shown
		host = host[user+1:]
		return engine.Reference{}, hints.Usage("docker login "+shell.Word(host)+", or podman login, and leave it out here", "no user and no password belong into the name of a registry, %s", host)
	}
	caFile, err := absolute(caFile)
	return engine.Reference{Where: where, Platform: string(platform), PlainHTTP: plain, CAFile: caFile}, err
}

// tuf finds a release of a TUF repository: its signed metadata counts as a signature. What was seen of it is kept in the directory of the state.
func (f *Found) tuf(ctx context.Context, argument string, at Elsewhere, options release.Options, stateDir string) error {
	tag, err := release.ParseTag(argument)
	if err != nil || tag == release.Latest {
		hint := "tbctl store import 0.17.8 --from " + shell.Word(at.From)
		if at.PlainHTTP {
			hint += " --plain-http"
		}
		return hints.Usage(hint, "from a TUF repository a release is taken by its number, not %q", argument)
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
