// Package source knows what the words of a command line that name a release come to: which artifact is fetched, from where, and what
// must vouch for it. Its errors are for the one who typed them.
package source

import (
	"context"
	"slices"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/cmdline"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/settings"
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
	if options.PublicKey, err = release.ReadPublicKey(options.PublicKey); err != nil {
		return options, hints.Usage("--public-key takes a file, or the key itself: the line that begins with RW", "%w", err)
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
	artifact, err := release.ResolveAsking(ctx, argument, options)
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
