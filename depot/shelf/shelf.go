// Package shelf knows what the artifacts of a depot are: of which release, for which platform, and who vouched for
// them. It brings releases into the depot, and is a source of them.
package shelf

import (
	"context"
	"errors"
	"slices"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
)

// An Item is an artifact with what it says of itself. That it is whole is for a check to say.
type Item struct {
	depot.Artifact

	Release  multiversion.Release   `json:"release,omitzero"` // the current one
	Releases []multiversion.Release `json:"releases"`         // all that it holds, the newest last
	Platform multiversion.Platform  `json:"platform,omitempty"`
	Debug    bool                   `json:"debug"`
	Problem  string                 `json:"problem,omitempty"` // why that cannot be told

	// NoBinary says that it was read, and is no multiversion binary.
	NoBinary bool `json:"-"`
}

// Describe says what an artifact is.
func Describe(d *depot.Depot, artifact depot.Artifact) Item {
	item := Item{Artifact: artifact, Releases: []multiversion.Release{}}
	binary, err := parse(d, artifact.SHA256)
	if err != nil {
		var format *multiversion.FormatError
		item.Problem = err.Error()
		item.NoBinary = errors.As(err, &format) && format.Rule != multiversion.RuleRead && format.Rule != multiversion.RuleSchema // a newer one may be known to a newer tbctl
		return item
	}
	item.Release, item.Platform, item.Debug = binary.Current(), binary.Platform(), binary.Debug()
	item.Releases = binary.Images[0].Header.Releases()
	slices.Sort(item.Releases)
	return item
}

// parse reads what an artifact says of itself.
func parse(d *depot.Depot, digest string) (*multiversion.Binary, error) {
	file, err := d.Open(digest)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return multiversion.Parse(file, file.Size())
}

// List describes all artifacts of a depot: the newest release first, and of one release the one that was stored last.
func List(ctx context.Context, d *depot.Depot) ([]Item, error) {
	artifacts, err := d.List()
	if err != nil {
		return nil, err
	}
	items := make([]Item, 0, len(artifacts))
	for _, artifact := range artifacts {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		items = append(items, Describe(d, artifact))
	}
	Sort(items)
	return items, nil
}

// Sort puts the newest release first, and of one release the one that was stored last.
func Sort(items []Item) {
	slices.SortStableFunc(items, func(a, b Item) int {
		if a.Release != b.Release {
			return int(int64(b.Release) - int64(a.Release))
		}
		return b.Stored.Compare(a.Stored)
	})
}

// IsOf reports whether an item was published under a tag. Where its receipts name one, that decides: a release that
// was published again has the same number.
func (i *Item) IsOf(tag release.Tag) bool {
	named := false
	for _, receipt := range i.Believed() {
		if receipt.Tag != "" {
			named = true
			if release.Tag(receipt.Tag) == tag {
				return true
			}
		}
	}
	number, err := multiversion.ParseRelease(tag.Release())
	return err == nil && !named && tag.Release() == string(tag) && slices.Contains(multiversion.PublishedAs(number), i.Release)
}

// Tag is the tag that an item was published under, as far as is known; "" if it is none of a release.
func (i *Item) Tag() release.Tag {
	for _, receipt := range slices.Backward(i.Believed()) {
		if tag, err := release.ParseTag(receipt.Tag); err == nil && tag != release.Latest {
			return tag
		}
	}
	if i.Release == 0 {
		return ""
	}
	return release.Tag(i.Release.String())
}

// Imported returns the newest receipt that says where an artifact was fetched from; nil: none does.
func Imported(artifact *depot.Artifact) *depot.Receipt {
	var newest *depot.Receipt
	for index := range artifact.Receipts {
		receipt := &artifact.Receipts[index]
		if receipt.Kind == depot.KindImport && (newest == nil || receipt.Time.After(newest.Time)) {
			newest = receipt
		}
	}
	return newest
}
