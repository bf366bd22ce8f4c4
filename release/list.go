package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/vfs"
)

const (
	listedMax         = apiPagesMax * apiPageSize
	directoryEntryMax = 4096
)

// A Listing is what a source has, newest first.
type Listing struct {
	Source   SourceKind `json:"source"`
	Location string     `json:"location"`
	Releases []Listed   `json:"releases"`
	// Truncated says that there are more, older ones.
	Truncated bool `json:"truncated"`
	// Skipped counts releases whose tags are not of a form known here.
	Skipped int `json:"skipped"`
	// TokenNote says why the token was not taken, and that GitHub was asked without it. Empty otherwise.
	TokenNote string `json:"token_note,omitempty"`
}

// A Listed release is one that a source has.
type Listed struct {
	// Tag is empty for assets that stand directly in a directory.
	Tag        Tag                 `json:"tag"`
	Release    string              `json:"release"` // the number without a re-release's suffix
	Published  time.Time           `json:"published,omitzero"`
	Prerelease bool                `json:"prerelease"`
	Assets     []ListedAsset       `json:"assets"`
	Advisories []advisory.Advisory `json:"advisories,omitempty"`
}

// A ListedAsset is one file of a release.
type ListedAsset struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`             // bytes
	SHA256 string `json:"sha256,omitempty"` // empty if not known
}

// List says which releases there are: on GitHub, by its API, on a mirror of the usual layout that has such a list at
// /releases, or in the directory that Options.Mirror names, as a path, as a file URL, or as a file URL that ends in /{tag}/{asset}. Where a platform or the debug
// build is asked for, those that have no such asset are left out. With a cache
// directory, answers that have not changed are not counted against the rate limit.
//
// Errors: [ErrNotListable] for any other mirror, [ErrOption] for one that cannot be meant so,
// [ErrNotFound] for a directory that is not there, [ErrTooLarge] for one with more than 4096 entries,
// [*RateLimitError], [*HTTPError], the transport's.
func List(ctx context.Context, options Options) (Listing, error) {
	all := options.Platform == "" && !options.Debug
	if err := options.check(); err != nil {
		return Listing{}, err
	}
	listing, err := listAll(ctx, options)
	for i := range listing.Releases {
		listing.Releases[i].Advisories = options.Advisories.ForTag(string(listing.Releases[i].Tag))
	}
	if !all {
		name := AssetName(options.Platform, options.Debug)
		listing.Releases = slices.DeleteFunc(listing.Releases, func(listed Listed) bool {
			return !slices.ContainsFunc(listed.Assets, func(asset ListedAsset) bool { return asset.Name == name })
		})
	}
	return listing, err
}

func listAll(ctx context.Context, options Options) (Listing, error) {
	if options.Mirror != "" {
		m, err := parseMirror(options.Mirror)
		if err != nil {
			return Listing{}, err
		}
		if m.template != "" {
			return listMirror(ctx, m, options)
		}
		releases, err := listDirectory(m.directory, m.strict)
		return Listing{Source: SourceDirectory, Location: m.directory, Releases: releases}, err
	}
	s := newSession(options)
	if err := s.begin(true); err != nil {
		return Listing{}, err
	}
	defer s.end()
	listing, err := s.listGitHub(ctx)
	if err != nil {
		err = fmt.Errorf("list releases: %w", err)
	}
	return listing, err
}

// listMirror asks a mirror for a list as GitHub's API gives it, as one that "tbctl store serve" is has it. The token is not for a mirror.
func listMirror(ctx context.Context, m mirror, options Options) (Listing, error) {
	base, usual := strings.CutSuffix(m.template, layout)
	if !usual {
		return Listing{}, fmt.Errorf("%w: a mirror's URL does not tell which releases there are", ErrNotListable)
	}
	options.APIURL, options.Token, options.CacheDir = base, "", ""
	s := newSession(options)
	if u, err := parseURL(base); err == nil {
		s.place = u
	}
	if err := s.begin(true); err != nil {
		return Listing{}, err
	}
	defer s.end()
	listing, err := s.listGitHub(ctx)
	if errors.Is(err, ErrNotFound) || errors.Is(err, errProtocol) { // no answer, or that of a server of files
		return Listing{}, fmt.Errorf("%w: the mirror has no list of them: %w", ErrNotListable, err)
	}
	if err != nil {
		return listing, fmt.Errorf("list releases: %w", err)
	}
	listing.Source = SourceMirror
	return listing, nil
}

func (s *session) listGitHub(ctx context.Context) (Listing, error) {
	api, err := parseURL(s.options.APIURL)
	if err != nil {
		return Listing{}, err
	}
	listing := Listing{Source: SourceGitHub, Location: redacted(api), Releases: []Listed{}}
	next := s.options.APIURL + apiListPrefix + strconv.Itoa(apiPageSize)
	for page := 0; next != ""; page++ {
		if page == apiPagesMax {
			listing.Truncated = true
			break
		}
		// The token must not follow a link to somewhere else.
		if u, err := parseURL(next); err != nil || u.Host != api.Host || u.Scheme != api.Scheme {
			return listing, protocolError("the API's next page is on another host")
		}
		answer, err := s.api(ctx, next, true)
		listing.TokenNote = s.refusal
		if err != nil {
			return listing, err
		}
		for i := range answer.Releases {
			listing.add(&answer.Releases[i])
		}
		listing.Truncated = listing.Truncated || answer.More
		next = answer.Next
	}
	sortListed(listing.Releases)
	return listing, nil
}

func (l *Listing) add(r *githubRelease) {
	tag, err := ParseTag(r.TagName)
	if r.Draft || err != nil || tag == Latest || len(l.Releases) == listedMax {
		l.Skipped++
		return
	}
	listed := listedOf(tag)
	listed.Published, listed.Prerelease = r.PublishedAt, r.Prerelease
	for _, asset := range r.Assets {
		a := ListedAsset{Name: asset.Name, Size: asset.Size}
		if asset.Digest != nil {
			if sum, err := sha.Parse(*asset.Digest); err == nil {
				a.SHA256 = sum
			}
		}
		listed.Assets = append(listed.Assets, a)
	}
	l.Releases = append(l.Releases, listed)
}

func listedOf(tag Tag) Listed {
	return Listed{Tag: tag, Release: tag.Release(), Assets: []ListedAsset{}}
}

func sortListed(releases []Listed) {
	slices.SortStableFunc(releases, func(a, b Listed) int { return b.Tag.Compare(a.Tag) })
}

// listDirectory lists DIR/TAG/ASSET and, unless strict, DIR/ASSET as a release without a tag. Other
// names are not its business.
func listDirectory(directory string, strict bool) ([]Listed, error) {
	entries, err := readDirectory(directory)
	if err != nil {
		return nil, err
	}
	releases := []Listed{}
	here := Listed{Assets: listedAssets(directory, entries)}
	for _, entry := range entries {
		tag, err := ParseTag(entry.Name())
		if err != nil || tag == Latest {
			continue
		}
		if info, err := vfs.Stat(filepath.Join(directory, entry.Name())); err == nil && !info.IsDir() {
			continue
		}
		inside, err := readDirectory(filepath.Join(directory, entry.Name()))
		if errors.Is(err, ErrNotFound) {
			continue // a link to nothing
		}
		if err != nil {
			return nil, err // or an older release would be the newest
		}
		listed := listedOf(tag)
		if listed.Assets = listedAssets(filepath.Join(directory, entry.Name()), inside); len(listed.Assets) > 0 {
			releases = append(releases, listed)
		}
	}
	sortListed(releases)
	if len(here.Assets) > 0 && !strict {
		releases = append(releases, here)
	}
	return releases, nil
}

// readDirectory reads all entries or fails: a part of them would be the disk's choice. The errors match
// ErrNotFound or ErrTooLarge, or are the disk's.
func readDirectory(directory string) ([]os.DirEntry, error) {
	f, _, err := vfs.OpenFile(directory, func(mode fs.FileMode) error {
		if !mode.IsDir() {
			return errNoDirectory
		}
		return nil
	})
	switch {
	case errors.Is(err, errNoDirectory):
		return nil, fmt.Errorf("%w: %s is not a directory", ErrNotFound, directory)
	case os.IsNotExist(err):
		return nil, fmt.Errorf("%w: there is no directory %s", ErrNotFound, directory)
	case err != nil:
		return nil, fmt.Errorf("list releases: %w", err)
	}
	defer f.Close()
	var entries []os.DirEntry
	for len(entries) <= directoryEntryMax && err == nil {
		var more []os.DirEntry
		more, err = f.ReadDir(directoryEntryMax + 1 - len(entries))
		entries = append(entries, more...)
	}
	switch {
	case len(entries) > directoryEntryMax:
		return nil, fmt.Errorf("%w: the directory %s has more than %d entries", ErrTooLarge, directory, directoryEntryMax)
	case err != io.EOF:
		return nil, fmt.Errorf("list releases: %w", err)
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

var errNoDirectory = errors.New("not a directory")

func listedAssets(directory string, entries []os.DirEntry) []ListedAsset {
	assets := []ListedAsset{}
	for _, entry := range entries {
		if !isAssetName(entry.Name()) {
			continue
		}
		if info, err := vfs.Stat(filepath.Join(directory, entry.Name())); err == nil && info.Mode().IsRegular() {
			assets = append(assets, ListedAsset{Name: entry.Name(), Size: info.Size()})
		}
	}
	return assets
}

func isAssetName(name string) bool {
	for _, p := range Platforms() {
		if name == AssetName(p, false) || name == AssetName(p, true) {
			return true
		}
	}
	return false
}
