// Package handover hands what release finds and fetches to install, and what is installed to release. Package install never sees the
// network, and release never what is installed: here an artifact becomes what the one asks of the other.
package handover

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

// Fetch makes the installer's fetch of an artifact. The bytes come by get, which is the artifact's own way and may tell of it.
func Fetch(artifact release.Artifact, get func(context.Context, io.Writer) (release.Fetched, error)) install.Fetch {
	return func(ctx context.Context, w io.Writer) (install.Origin, error) {
		fetched, err := get(ctx, w)
		return Origin(artifact, fetched), err
	}
}

// AlreadyInstalled makes the installer's question whether the installed file is what a fetch of the artifact would bring. What was found out is
// told, unless the fetch will tell it.
func AlreadyInstalled(artifact release.Artifact, tell func(release.Fetched)) func(context.Context, install.File, *install.Origin) (install.Origin, bool, error) {
	return func(ctx context.Context, installed install.File, from *install.Origin) (install.Origin, bool, error) {
		had := release.Had{ExecutableSHA256: installed.SHA256, ExecutableSize: installed.Size}
		if from != nil {
			had.AssetSHA256, had.AssetSize, had.Location, had.Validator = from.SHA256, from.Size, from.Source, from.Validator
		}
		fetched, known, err := artifact.Known(ctx, had)
		if err != nil {
			fetched.Evidence = nil
		}
		if err != nil || known {
			tell(fetched)
		}
		if err != nil || !known {
			return install.Origin{}, false, err
		}
		origin := Origin(artifact, fetched)
		if from != nil {
			origin.Asset, origin.Entry = from.Asset, from.Entry
		}
		if from != nil && origin.Tag == "" {
			origin.Tag = from.Tag
		}
		return origin, true, nil
	}
}

// Origin is what the installer notes of a fetch.
func Origin(artifact release.Artifact, fetched release.Fetched) install.Origin {
	origin := install.Origin{
		Source: artifact.Absolute(), Asset: fetched.Asset, Entry: fetched.EntryName, SHA256: fetched.AssetSHA256, Size: fetched.AssetSize,
		ExecutableSHA256: fetched.ExecutableSHA256, Tag: string(fetched.Tag), Validator: fetched.Validator,
		Fetched: fetched.BytesFetched, Resumed: fetched.BytesResumed, Held: fetched.BytesHeld, Trusted: fetched.Trusted,
	}
	for _, evidence := range fetched.Evidence {
		origin.Trust = append(origin.Trust, install.Trust{
			Kind: string(evidence.Kind), Status: string(evidence.Status), Of: evidence.Of, Detail: evidence.Detail,
		})
	}
	return origin
}

// SizeHint is the size in bytes that an executable in a local file at least
// has, or 0 where that is not known.
func SizeHint(artifact release.Artifact) int64 {
	if artifact.Path() == "" {
		return 0
	}
	file, err := input.Open(artifact.Path())
	if err != nil {
		return 0
	}
	defer file.Close()
	return file.ExecutableSize()
}

// CompareStated compares a file that was verified, and the archive that it is in, with what is stated about it. What did not hold is untrusted;
// the error is of reading.
func CompareStated(ctx context.Context, stated release.Expected, file *input.File, found verify.Report) (evidence []release.Evidence, untrusted, err error) {
	had := release.Had{ExecutableSHA256: found.SHA256, ExecutableSize: found.Size, AssetSHA256: found.SHA256, AssetSize: found.Size}
	if file.Outer != nil && stated.Open() {
		hash := sha256.New()
		had.AssetSize, err = io.Copy(hash, vfs.Interruptible(ctx, io.NewSectionReader(file.Outer, 0, file.Outer.Size())))
		if err != nil {
			return nil, nil, err
		}
		had.AssetSHA256 = hex.EncodeToString(hash.Sum(nil))
	}
	evidence, untrusted = stated.Judge(had)
	return evidence, untrusted, nil
}

// CheckWanted makes the check of what came: that it is whole, and what was asked for. The name is the file's in messages.
func CheckWanted(artifact release.Artifact, name string) func(verify.Report) error {
	return func(report verify.Report) error {
		if err := report.Err(name); err != nil {
			return err
		}
		return artifact.Compare(report.Platform, report.Binary.Current())
	}
}
