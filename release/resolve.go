package release

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// A Source is the kind of place that an artifact comes from.
type Source string

// The sources.
const (
	SourceGitHub    Source = "github"    // a tag, by GitHub's direct URL
	SourceMirror    Source = "mirror"    // a tag, by a mirror's URL template
	SourceDirectory Source = "directory" // a tag or platform, in a directory of assets
	SourceURL       Source = "url"       // an explicit URL
	SourceFile      Source = "file"      // an explicit path
	SourceStdin     Source = "stdin"
)

// An Artifact is a file to fetch, and how. It is data for a plan; only [Resolve] makes one that can be
// fetched.
type Artifact struct {
	Source Source `json:"source"`
	// Tag is what was asked for, empty when the argument names a file. That the file is of that
	// release is for the caller to check, in its header.
	Tag      Tag      `json:"tag,omitempty"`
	Platform Platform `json:"platform"`
	Debug    bool     `json:"debug"`
	Asset    string   `json:"asset,omitempty"` // file name, empty for standard input
	// Location is the URL without credentials and query, the path, or "-".
	Location string `json:"location"`

	url     *url.URL // of the sources on the network
	path    string   // of the local ones
	options Options
	way     *way
}

// Resolve says what arg means: "-" is standard input; a tag or "latest" is a release on GitHub or the
// mirror; anything with a scheme is a URL; anything else is the path of a file, or of a directory of
// assets. No network is used, and nothing is read but what directories hold.
//
// Errors match [ErrTag], [ErrOption], [ErrPlatform], [ErrNotFound], or for the newest release of a
// mirror [ErrNotListable] (a URL) and [ErrTooLarge] (a directory of more entries than [List] reads).
func Resolve(arg string, options Options) (Artifact, error) {
	if err := options.check(); err != nil {
		return Artifact{}, err
	}
	a := Artifact{Platform: options.Platform, Debug: options.Debug, options: options, way: newWay()}
	switch {
	case arg == "":
		return a, fmt.Errorf("%w: an empty text names no release", ErrTag)
	case arg == "-":
		return a.stdin()
	case looksLikeURL(arg):
		return a.at(arg, SourceURL, SourceFile)
	}
	tag, err := ParseTag(arg)
	if err != nil {
		return a.file(arg, err)
	}
	a.Tag, a.Asset = tag, AssetName(options.Platform, options.Debug)
	if options.Mirror != "" {
		return a.mirrored()
	}
	a.Source = SourceGitHub
	if tag == Latest {
		return a.at(options.BaseURL+"/releases/latest/download/"+a.Asset, SourceGitHub, "")
	}
	return a.at(options.BaseURL+"/releases/download/"+string(tag)+"/"+a.Asset, SourceGitHub, "")
}

// File is the artifact at a path, whatever it is called.
//
// Errors match [ErrOption], [ErrPlatform] or [ErrNotFound], or are the disk's.
func File(path string, options Options) (Artifact, error) {
	if err := options.check(); err != nil {
		return Artifact{}, err
	}
	a := Artifact{Platform: options.Platform, Debug: options.Debug, options: options, way: newWay()}
	return a.file(path, fmt.Errorf("%w: %s", ErrNotFound, path))
}

func (a Artifact) stdin() (Artifact, error) {
	if a.options.Stdin == nil {
		return a, fmt.Errorf("%w: there is no standard input to read", ErrOption)
	}
	a.Source, a.Location = SourceStdin, "-"
	return a, nil
}

// at points the artifact to a URL: remote is the source when it is on the network, local when it is
// a file, "" when it must not be one.
func (a Artifact) at(text string, remote, local Source) (Artifact, error) {
	u, err := parseURL(text)
	if err != nil {
		return a, err
	}
	if u.Scheme == "file" {
		if local == "" {
			return a, fmt.Errorf("%w: %s is not on the network", ErrOption, redacted(u))
		}
		path, err := filePath(u)
		if err != nil {
			return a, err
		}
		a.Source, a.path, a.Location, a.Asset = local, path, path, filepath.Base(path)
		return a, nil
	}
	a.Source, a.url, a.Location = remote, u, redacted(u)
	if a.Asset == "" {
		a.Asset = lastElement(u.Path)
	}
	return a, nil
}

// file resolves a path. notTag is why the argument is no tag, for the case that it is no file either.
func (a Artifact) file(path string, notTag error) (Artifact, error) {
	info, err := os.Stat(path)
	if err != nil {
		if !strings.ContainsRune(path, filepath.Separator) && !strings.Contains(path, "/") {
			return a, fmt.Errorf("%w, and there is no file of that name", notTag)
		}
		if os.IsNotExist(err) {
			return a, fmt.Errorf("%w: there is no file %s", ErrNotFound, path)
		}
		return a, fmt.Errorf("look at %s: %w", path, err)
	}
	a.Source, a.path, a.Asset = SourceFile, path, filepath.Base(path)
	if info.IsDir() {
		a.Source, a.Asset = SourceDirectory, AssetName(a.Platform, a.Debug)
		a.path = filepath.Join(path, a.Asset)
		if _, err := os.Stat(a.path); err != nil {
			return a, fmt.Errorf("%w: the directory %s has no %s", ErrNotFound, path, a.Asset)
		}
	}
	a.Location = a.path
	return a, nil
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
