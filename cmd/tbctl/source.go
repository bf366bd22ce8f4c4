package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/source"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
)

// sourceFlags say where releases come from and what must vouch for them.
type sourceFlags struct {
	Place     placeFlags      `embed:""`
	SHA256    string          `group:"source" name:"sha256" placeholder:"HEX" help:"Refuse anything else: the SHA-256 of the archive or of the executable in it."`
	PublicKey string          `group:"source" placeholder:"KEY" env:"TBCTL_PUBLIC_KEY" help:"Require a minisign signature (.minisig beside the asset) by this key: a file or the key itself."`
	Require   release.Require `group:"source" placeholder:"WHAT" env:"TBCTL_REQUIRE" help:"Refuse what no digest or signature vouches for: digest or signature."`
	GitHub    bool            `more:"" group:"source" name:"github-digest" env:"TBCTL_GITHUB_DIGEST" help:"Require the digest that GitHub's API has of the asset. With a GITHUB_TOKEN it is asked for by itself."`

	Store storeFlags `embed:"" group:"source"`

	keep   bool   // what is fetched is kept to be fetched again
	target string // where executables are looked for that need not be fetched; "": at the usual target
}

// placeFlags say where releases are.
type placeFlags struct {
	Platform  multiversion.Platform `group:"source" placeholder:"PLATFORM" env:"TBCTL_PLATFORM" help:"x86_64-linux, aarch64-linux, x86_64-windows or universal-macos; otherwise this host's."`
	Debug     bool                  `more:"" group:"source" help:"The debug build."`
	Mirror    string                `group:"source" placeholder:"URL" env:"TBCTL_MIRROR" help:"Get releases from here instead of GitHub: a URL with {tag} and {asset}, a file URL, or a directory."`
	CAFile    string                `more:"" group:"source" name:"ca-file" placeholder:"FILE" env:"TBCTL_CA_FILE" help:"Trust the certificates in this PEM file too."`
	TokenFile string                `more:"" group:"source" name:"token-file" placeholder:"FILE" env:"TBCTL_TOKEN_FILE" help:"A token for the mirror, or the URL, is in this file; or it is in TBCTL_TOKEN. Users and passwords are those of ~/.netrc, or NETRC."`
	CacheDir  string                `more:"" group:"source" placeholder:"DIR" env:"TBCTL_CACHE_DIR" help:"Where interrupted downloads are kept to be resumed, and what a dry run has fetched."`
	Idle      time.Duration         `more:"" group:"source" name:"idle-timeout" placeholder:"DURATION" env:"TBCTL_IDLE_TIMEOUT" help:"Connect again when next to nothing came for that long (${idle_timeout}). tbctl download itself may take as long as it takes; install gives up a download of less than ${hurry_rate} a second after ${hurry_after}."`
	GitHubURL string                `group:"source" name:"github-url" hidden:"" env:"TBCTL_GITHUB_URL" help:"The project's address."`
	APIURL    string                `group:"source" name:"api-url" hidden:"" env:"TBCTL_API_URL" help:"The project's address in GitHub's API."`
}

// registryFlags say where a registry's artifact is.
type registryFlags struct {
	From      string `placeholder:"oci://HOST/REPOSITORY[:TAG][@sha256:HEX]" help:"Get it from a registry, in place of a source; or the release from a TUF repository: tuf+https://HOST/PATH."`
	PlainHTTP bool   `name:"plain-http" help:"Speak with the registry, or the repository (tuf+http://HOST/PATH), without TLS."`
	Root      string `placeholder:"FILE" help:"The root.json of the TUF repository that is trusted; later what was kept of it is."`
}

// options are the library's options for these flags.
func (p *placeFlags) options(a *app) release.Options {
	token, file := a.getenv(config.TokenVariable), p.TokenFile
	if token != "" && !a.onCommandLine["token-file"] {
		file = ""
	}
	return release.Options{
		StoreToken: token, StoreTokenFile: file, Netrc: a.settings().Netrc(),
		Advisories: a.advisories(), Platform: p.Platform, Debug: p.Debug, BaseURL: strings.TrimRight(p.GitHubURL, "/"), APIURL: strings.TrimRight(p.APIURL, "/"),
		Token: a.getenv("GITHUB_TOKEN"), Mirror: p.Mirror, Stdin: a.in, CacheDir: a.settings().CacheDir(p.CacheDir), CAFile: p.CAFile, UserAgent: "tbctl/" + readVersion().Version,
		Progress: a.downloadProgress, Retry: release.Retry{IdleTimeout: p.Idle, Hurry: a.command == "install"},
	}
}

// question is what these flags say of a release.
func (s *sourceFlags) question(a *app) *source.Question {
	options := s.Place.options(a)
	options.SHA256, options.PublicKey, options.AskGitHub, options.Require, options.Keep = s.SHA256, s.PublicKey, s.GitHub, s.Require, s.keep
	return &source.Question{
		Options: options, Store: s.Store.Store, Target: s.target, Command: a.command, Line: a.line, Settings: a.settings(), Flag: a.flag, Warn: a.warnText,
	}
}

// find says which artifact is meant. The caller closes what is found.
func (s *sourceFlags) find(a *app, argument string, from registryFlags) (source.Found, error) {
	found, err := s.question(a).Find(a.ctx, argument, source.Elsewhere(from))
	if err != nil {
		return found, err
	}
	if found.Path() != "" {
		a.about.File = found.Location
	}
	if err := a.keepAdvisories(found.Advisories); err != nil {
		_ = found.Close() // nothing is fetched
		return found, err
	}
	return found, nil
}

// resolve is find for a command that knows no other places than this host and its mirror.
func (s *sourceFlags) resolve(a *app, argument string) (release.Artifact, error) {
	found, err := s.find(a, argument, registryFlags{})
	return found.Artifact, err
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
	if err != nil {
		a.tellFetched(release.Fetched{TokenNote: fetched.TokenNote})
		return fetched, err
	}
	if !fetched.Trusted && a.global.JSON {
		a.warn(render.Untrusted)
	}
	a.tellFetched(fetched)
	return fetched, nil
}

// tellFetched says what is to be known of a fetch, or of what was asked in its place.
func (a *app) tellFetched(fetched release.Fetched) {
	warnings, notes := render.FetchNotes(fetched, a.getenv("GITHUB_TOKEN") != "", a.onCommandLine["dry-run"])
	a.warnAll(warnings)
	for _, note := range notes {
		a.note("%s", note)
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
