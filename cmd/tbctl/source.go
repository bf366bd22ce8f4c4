package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/cmdline"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

// sourceFlags say where releases come from and what must vouch for them.
type sourceFlags struct {
	Place     placeFlags      `embed:""`
	SHA256    string          `group:"source" name:"sha256" placeholder:"HEX" help:"Refuse anything else: the SHA-256 of the archive or of the executable in it."`
	PublicKey string          `group:"source" placeholder:"KEY" env:"TBCTL_PUBLIC_KEY" help:"Require a minisign signature (.minisig beside the asset) by this key: a file or the key itself."`
	Require   release.Require `group:"source" placeholder:"WHAT" env:"TBCTL_REQUIRE" help:"Refuse what no digest or signature vouches for: digest or signature."`
	GitHub    bool            `group:"source" name:"github-digest" env:"TBCTL_GITHUB_DIGEST" help:"Require the digest that GitHub's API has of the asset. With a GITHUB_TOKEN it is asked for by itself."`

	Store storeFlags `embed:"" group:"source"`

	keep   bool   // what is fetched is kept to be fetched again
	target string // where executables are looked for that need not be fetched; "": at the usual target
}

// placeFlags say where releases are.
type placeFlags struct {
	Platform  multiversion.Platform `group:"source" placeholder:"PLATFORM" env:"TBCTL_PLATFORM" help:"x86_64-linux, aarch64-linux, x86_64-windows or universal-macos; otherwise this host's."`
	Debug     bool                  `group:"source" help:"The debug build."`
	Mirror    string                `group:"source" placeholder:"URL" env:"TBCTL_MIRROR" help:"Get releases from here instead of GitHub: a URL with {tag} and {asset}, a file URL, or a directory."`
	CAFile    string                `group:"source" name:"ca-file" placeholder:"FILE" env:"TBCTL_CA_FILE" help:"Trust the certificates in this PEM file too."`
	CacheDir  string                `group:"source" placeholder:"DIR" env:"TBCTL_CACHE_DIR" help:"Where interrupted downloads are kept to be resumed, and what a dry run has fetched."`
	Idle      time.Duration         `group:"source" name:"idle-timeout" placeholder:"DURATION" env:"TBCTL_IDLE_TIMEOUT" help:"Connect again when next to nothing came for that long (30s). A download itself may take as long as it takes."`
	GitHubURL string                `group:"source" name:"github-url" hidden:"" env:"TBCTL_GITHUB_URL" help:"The project's address."`
	APIURL    string                `group:"source" name:"api-url" hidden:"" env:"TBCTL_API_URL" help:"The project's address in GitHub's API."`
}

// options are the library's options for these flags.
func (p *placeFlags) options(a *app) release.Options {
	return release.Options{
		Platform: p.Platform, Debug: p.Debug, BaseURL: strings.TrimRight(p.GitHubURL, "/"), APIURL: strings.TrimRight(p.APIURL, "/"),
		Token: a.getenv("GITHUB_TOKEN"), Mirror: p.Mirror, Stdin: a.in, CacheDir: a.settings().CacheDir(p.CacheDir), CAFile: p.CAFile, UserAgent: "tbctl/" + readVersion().Version,
		Progress: a.downloadProgress, Retry: release.Retry{IdleTimeout: p.Idle},
	}
}

// options are the library's options for these flags.
func (s *sourceFlags) options(a *app) (release.Options, error) {
	key, err := release.ReadPublicKey(s.PublicKey)
	if err != nil {
		return release.Options{}, usage("--public-key takes a file, or the key itself: the line that begins with RW", "%w", err)
	}
	if err := s.Require.Check(); err != nil {
		where, hint := "--require", "--require digest, or --require signature"
		if !a.onCommandLine["require"] {
			where, hint = "require, from "+a.settings().Line("require", a.flag("require")).Origin, "there it is digest or signature"
		}
		return release.Options{}, usage(hint, "%s: %w", where, err)
	}
	options := s.Place.options(a)
	options.SHA256, options.PublicKey, options.AskGitHub, options.Require, options.Keep = s.SHA256, key, s.GitHub, s.Require, s.keep
	options.ExactPlatform = a.onCommandLine["platform"]
	options.Held = s.held(a)
	return options, nil
}

// held opens what this host has of releases: what is installed, what was before, and the store. It is nil where nothing is.
func (s *sourceFlags) held(a *app) func() *delta.Files {
	target := a.target(s.target)
	store, err := a.depot(s.Store.Store)
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
		return usage("--public-key FILE", "a signature is required, but no public key given")
	}
	return nil
}

// resolve says what the argument means. Only of the newest release a mirror is asked.
func (s *sourceFlags) resolve(a *app, argument string) (release.Artifact, error) {
	options, err := s.options(a)
	if err != nil {
		return release.Artifact{}, err
	}
	if err := checkKey(options); err != nil && !shelf.IsName(argument) { // of the store's a receipt may tell of a signature
		return release.Artifact{}, err
	}
	if argument == "-" {
		if err := a.checkStdin(); err != nil {
			return release.Artifact{}, err
		}
	}
	if shelf.IsName(argument) {
		return s.stored(a, argument, options)
	}
	artifact, err := release.ResolveAsking(a.ctx, argument, options)
	if err != nil {
		return artifact, cmdline.Unresolved(a.ctx, a.line, argument, s.Place.Mirror, err)
	}
	if artifact.Path() != "" {
		a.about.File = artifact.Location
	}
	if err := a.checkFile(artifact); err != nil {
		return artifact, err
	}
	if s.GitHub && a.onCommandLine["github-digest"] && !artifact.NamesRelease() {
		return artifact, usage("name the release: tbctl "+a.command+" RELEASE --mirror DIR-OR-URL --github-digest; or give its digest: --sha256 HEX",
			"--github-digest: GitHub is asked by the name of a release, and %s names none", artifact.Place())
	}
	return artifact, nil
}

// checkFile refuses what chooses an asset of a release where a file is named. Other commands than install, which compares it with the
// host's, take the platform as what the file must be for.
func (a *app) checkFile(artifact release.Artifact) error {
	if !slices.Contains([]release.SourceKind{release.SourceFile, release.SourceURL, release.SourceStdin}, artifact.Source) {
		return nil
	}
	for _, name := range []string{"debug", "platform"} {
		if a.onCommandLine[name] && (name == "debug" || a.command == "install") {
			return usage("leave it out: the file says what it is, see tbctl inspect", "--%s chooses an asset of a release, and %s is one file", name, artifact.Place())
		}
	}
	return nil
}

// stored is the artifact of the store that the argument names.
func (s *sourceFlags) stored(a *app, argument string, options release.Options) (release.Artifact, error) {
	store, err := a.existing(s.Store.Store)
	if err != nil {
		return release.Artifact{}, err
	}
	if s.keep { // a dry run changes nothing, also where an artifact has changed
		store = store.Looking()
	}
	return shelf.Resolve(a.ctx, store, argument, options)
}

// fetch fetches the artifact, and tells how that goes and what came of it.
func (a *app) fetch(ctx context.Context, artifact release.Artifact, w io.Writer) (release.Fetched, error) {
	if artifact.Source == release.SourceStdin {
		a.note("reading standard input")
	} else {
		a.note("fetching %s", artifact.Location)
	}
	a.progress.Start("fetching", -1)
	fetched, err := artifact.Fetch(ctx, w)
	a.progress.Done()
	a.tellToken(fetched.TokenNote)
	if err != nil {
		return fetched, err
	}
	if !fetched.Trusted && a.global.JSON {
		a.warn(render.Untrusted)
	}
	a.tellEvidence(fetched.Evidence)
	if fetched.HeldDamage != "" {
		a.warn("%s; it was fetched", fetched.HeldDamage)
	}
	if fetched.DeltaNote != "" {
		a.note("the delta that the server offers was not used: %s", fetched.DeltaNote)
	}
	if fetched.HeldNote != "" {
		a.note("what this host has of it was fetched too: %s", fetched.HeldNote)
	}
	then := "a download that is cut begins again"
	if a.onCommandLine["dry-run"] {
		then = "nothing of it is kept, and the real run fetches it again"
	}
	switch {
	case strings.HasPrefix(fetched.CacheNote, "the cache is not used"):
		a.warn("%s: %s (--cache-dir)", fetched.CacheNote, then)
	case fetched.CacheNote != "":
		a.note("%s: %s", fetched.CacheNote, then)
	}
	return fetched, nil
}

// tellEvidence says what was not compared although it is there or was asked for.
func (a *app) tellEvidence(list []release.Evidence) {
	for _, evidence := range list {
		name, github, asked := render.EvidenceName(evidence.Kind), evidence.Kind == release.EvidenceGitHubDigest, ""
		if github && a.getenv("GITHUB_TOKEN") != "" {
			asked = " (it was asked for since GITHUB_TOKEN is set)"
		}
		switch {
		case evidence.Status == release.StatusNotChecked:
			a.warn("%s was not checked: %s%s", name, evidence.Detail, asked)
		case evidence.Status == release.StatusAbsent && github:
			a.warn("%s is not there: %s%s", name, evidence.Detail, asked)
		}
	}
}

// tellToken says that the token of the environment is not taken, and why.
func (a *app) tellToken(note string) {
	if note != "" {
		a.warn("GITHUB_TOKEN is not taken (%s); GitHub was asked without it: renew it, or unset it", note)
	}
}

// downloadProgress shows how far a download is, and why it waits.
func (a *app) downloadProgress(progress release.Progress) {
	if !progress.WaitUntil.IsZero() {
		a.note("%v; trying again in %s", progress.Err, time.Until(progress.WaitUntil).Round(100*time.Millisecond))
		return
	}
	a.progress.Update(progress.Done, progress.Total)
}
