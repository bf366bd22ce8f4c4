package release

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/vfs"
)

// Resolve says what arg means: "-" is standard input; a tag or "latest" is a release on GitHub or the
// mirror; anything with a scheme is a URL; anything else is the path of a file, or of a directory of
// assets. Nothing is read but what directories hold, and no network is used, but that a mirror at a URL is asked which
// release is its newest, where nothing else tells. A pre-release is none.
//
// Errors match [ErrTag], [ErrOption], [ErrPlatform], [ErrNotFound], also for a mirror without a release for the platform, or
// are those of [List].
func Resolve(ctx context.Context, arg string, options Options) (Artifact, error) {
	artifact, err := resolve(arg, options)
	if !errors.Is(err, ErrNotListable) {
		return artifact, err
	}
	options.Platform = artifact.Platform
	listing, listErr := List(ctx, options)
	switch {
	case errors.Is(listErr, ErrNotListable):
		return artifact, err
	case listErr != nil:
		return artifact, listErr
	}
	at := slices.IndexFunc(listing.Releases, func(listed Listed) bool { return !listed.Prerelease })
	if at < 0 {
		return artifact, fmt.Errorf("%w: %s lists no release for %s", ErrNotFound, listing.Location, artifact.Platform)
	}
	return resolve(string(listing.Releases[at].Tag), options)
}

// resolve is Resolve without the network: for the newest release of a mirror at a URL the error matches [ErrNotListable], and for that of
// a directory of more entries than [List] reads, [ErrTooLarge].
func resolve(arg string, options Options) (Artifact, error) {
	a, err := newArtifact(options)
	switch {
	case err != nil:
		return a, err
	case options.Require == RequireSignature && options.PublicKey == "":
		return a, fmt.Errorf("%w: a signature is required, but no public key given", ErrOption)
	case arg == "":
		return a, fmt.Errorf("%w: an empty text names no release", ErrTag)
	case arg == "-" && options.Stdin == nil:
		return a, fmt.Errorf("%w: there is no standard input to read", ErrOption)
	case arg == "-":
		a.Source, a.Location, a.source = SourceStdin, arg, stdinSource{options.Stdin}
		return a, nil
	case looksLikeURL(arg):
		return a, a.at(arg, SourceURL, SourceFile)
	}
	tag, err := ParseTag(arg)
	if err != nil {
		return a, a.named(arg, err)
	}
	a.Tag, a.Asset = tag, AssetName(a.Platform, a.options.Debug)
	if options.Mirror != "" {
		return a, a.mirrored()
	}
	return a, a.onGitHub()
}

// Stated is what must be so of a file that the caller has: its SHA-256, unless that is "", and what the lists of checksums beside it
// say; there are none beside "-". Errors are those of [Artifact.Expected].
func Stated(ctx context.Context, path, sha256 string) (Expected, error) {
	options := Options{SHA256: sha256}
	if _, err := HostPlatform(); err != nil { // nothing is fetched for this host
		options.Platform = Platforms()[0]
	}
	a, err := newArtifact(options)
	if err != nil {
		return Expected{}, err
	}
	if path == "-" {
		a.Source, a.Location, a.source = SourceStdin, path, stdinSource{strings.NewReader("")}
	} else if err := a.named(path, fmt.Errorf("%w: %s", ErrNotFound, path)); err != nil {
		return Expected{}, err
	}
	return a.Expected(ctx)
}

// From is the artifact that a source has, of which about says what it is. Besides what the options ask for, the
// vouchers are asked. Errors match [ErrOption] or [ErrPlatform].
func From(source Source, about About, options Options, vouchers ...Voucher) (Artifact, error) {
	a, err := newArtifact(options)
	a.About, a.source, a.more = about, source, vouchers
	return a, err
}

// At is the artifact at a URL, of which about says what it is. What is claimed of it is what the vouchers say, and what the options ask for.
func At(url string, about About, options Options, vouchers ...Voucher) (Artifact, error) {
	a, err := newArtifact(options)
	if err != nil {
		return a, err
	}
	a.Tag, a.Asset, a.more = about.Tag, about.Asset, vouchers
	return a, a.at(url, about.Source, "")
}

func newArtifact(options Options) (Artifact, error) {
	if err := options.check(); err != nil {
		return Artifact{}, err
	}
	return Artifact{Platform: options.Platform, options: options, session: newSession(options)}, nil
}

// onGitHub points the artifact to the direct URL of its tag.
func (a *Artifact) onGitHub() error {
	base := a.options.BaseURL + "/releases/download/" + string(a.Tag) + "/"
	if a.Tag == Latest {
		base = a.options.BaseURL + "/releases/latest/download/"
	}
	if err := a.at(base+a.Asset, SourceGitHub, ""); err != nil {
		return err
	}
	a.source.(*webSource).notFound = a.whyNotFound
	return nil
}

// at points the artifact to a URL: remote is the source when it is on the network, local when it is
// a file, "" when it must not be one.
func (a *Artifact) at(text string, remote, local SourceKind) error {
	u, err := parseURL(text)
	switch {
	case err != nil:
		return err
	case u.Scheme != "file":
		a.Source, a.Location, a.source = remote, redacted(u), &webSource{session: a.session, url: u, zip: remote.isZip(u.Path)}
		if a.Asset == "" {
			a.Asset = lastElement(u.Path)
		}
		if remote.getsCredentials() {
			a.session.place = u
		}
		return nil
	case local == "":
		return fmt.Errorf("%w: %s is not on the network", ErrOption, redacted(u))
	}
	path, err := filePath(u)
	if err == nil {
		a.is(local, path)
	}
	return err
}

// is points the artifact to a file.
func (a *Artifact) is(kind SourceKind, path string) {
	a.Source, a.Location, a.Asset, a.source = kind, path, filepath.Base(path), fileSource(path)
}

// named points the artifact to a path. notTag is why the argument is no tag, for the case that it is no file either.
func (a *Artifact) named(path string, notTag error) error {
	info, err := vfs.Stat(path)
	switch {
	case err != nil && !strings.ContainsRune(path, filepath.Separator) && !strings.Contains(path, "/"):
		return fmt.Errorf("%w, and there is no file of that name", notTag)
	case os.IsNotExist(err):
		return fmt.Errorf("%w: there is no file %s", ErrNotFound, path)
	case err != nil:
		return fmt.Errorf("look at %s: %w", path, vfs.Cause(err))
	case !info.IsDir():
		a.is(SourceFile, path)
		return nil
	}
	asset := AssetName(a.Platform, a.options.Debug)
	if _, err := vfs.Stat(filepath.Join(path, asset)); err != nil {
		return fmt.Errorf("%w: the directory %s has no %s", ErrNotFound, path, asset)
	}
	a.is(SourceDirectory, filepath.Join(path, asset))
	return nil
}

// parseURL accepts absolute http, https and file URLs. Its errors do not repeat the text, which may
// hold a password.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: the URL cannot be parsed", ErrOption)
	}
	if misread(u) {
		return nil, fmt.Errorf("%w: the URL has %w", ErrOption, errAtSign)
	}
	u.Fragment, u.RawFragment = "", ""
	switch u.Scheme {
	case "http", "https":
		if u.Host == "" {
			return nil, fmt.Errorf("%w: the URL names no host", ErrOption)
		}
	case "file":
	case "s3", "gs", "ftp", "sftp", "oci", "docker", "tuf+https", "tuf+http":
		return nil, &SchemeError{Scheme: u.Scheme, Text: Redact(text)}
	default:
		return nil, fmt.Errorf("%w: URLs begin with http, https or file, not %s", ErrOption, schemeOf(u))
	}
	return u, nil
}

// filePath is the path of a file URL.
func filePath(u *url.URL) (string, error) {
	if u.Host != "" && u.Host != "localhost" {
		return "", fmt.Errorf("%w: file URL of another host (three slashes follow file:)", ErrOption)
	}
	path := u.Path
	if runtime.GOOS == "windows" && len(path) > 2 && path[0] == '/' && path[2] == ':' {
		path = path[1:]
	}
	if path == "" {
		return "", fmt.Errorf("%w: file URL without a path", ErrOption)
	}
	return filepath.FromSlash(path), nil
}

func lastElement(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
