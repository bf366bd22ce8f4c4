package tufrepo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

// Add drafts targets with the files of a release, each of another platform: bare executables, or archives as upstream releases them. Every
// file is verified as a whole, and must be of that release. It then signs with keys, and publishes if that is enough.
func (r *Repository) Add(ctx context.Context, tag release.Tag, files []string, keys []Key) error {
	known, err := r.known()
	if err != nil {
		return err
	}
	added := map[string]*metadata.TargetFiles{}
	for _, file := range files {
		name, target, err := r.bring(ctx, tag, file, known)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if added[name] != nil {
			return fault.New(fault.Usage, fmt.Sprintf("%s: another file is of the same platform", file))
		}
		added[name] = target
	}
	return r.addTargets(known, added, keys)
}

// addTargets drafts targets with those that are known and those that are added, and goes on with that. Where all of them are there already it goes on
// with what is there.
func (r *Repository) addTargets(known *metadata.Metadata[metadata.TargetsType], added map[string]*metadata.TargetFiles, keys []Key) error {
	for name, target := range added {
		if there := known.Signed.Targets[name]; there != nil && bytes.Equal(there.Hashes["sha256"], target.Hashes["sha256"]) {
			r.tell("%s is there already", name)
			delete(added, name)
		}
	}
	if len(added) == 0 {
		slices.Sort(r.Told)
		return r.advance(keys)
	}
	r.draftTargets()
	all := map[string]*metadata.TargetFiles{} // the published one stays as it is
	for name, target := range known.Signed.Targets {
		all[name] = target
	}
	for name, target := range added {
		all[name] = target
		r.tell("added %s", name)
	}
	r.nextTargets.Signed.Targets = all
	slices.Sort(r.Told)
	return r.advance(keys)
}

// ErrOlderList says that a list of advisories is older than the one that is there.
var ErrOlderList = fault.New(fault.Refused, "a newer list of advisories is there")

// AddAdvisories drafts targets with a list of advisories, which takes the place of the one that is there; an older one is [ErrOlderList]. It
// then signs with keys, and publishes if that is enough.
func (r *Repository) AddAdvisories(name string, keys []Key) error {
	known, err := r.known()
	if err != nil {
		return err
	}
	text, l, err := readList(name, advisory.ParseNew)
	if err != nil {
		return err
	}
	if there := known.Signed.Targets[engine.ListTarget]; there != nil {
		_, published, err := readList(r.listPath(there.Hashes["sha256"]), advisory.ParseList)
		if err != nil {
			return err
		}
		if was, is := published.Edition().Checked, l.Edition().Checked; was > is {
			return fmt.Errorf("%s: %w: it was checked on %s, and this one on %s", name, ErrOlderList, was, is)
		}
	}
	sum := sha256.Sum256(text)
	err = durable.WriteFile(vfs.OS(), r.listPath(sum[:]), 0o644, true, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
	if err != nil {
		return err
	}
	target := &metadata.TargetFiles{Length: int64(len(text)), Hashes: metadata.Hashes{"sha256": sum[:]}, Path: engine.ListTarget}
	return r.addTargets(known, map[string]*metadata.TargetFiles{engine.ListTarget: target}, keys)
}

// listPath is where a list of advisories is.
func (r *Repository) listPath(sum []byte) string {
	return filepath.Join(r.dir, targetsDir, hexSum(sum)+"."+engine.ListTarget)
}

// readList reads a list of advisories.
func readList(name string, parse func([]byte) (*advisory.List, error)) ([]byte, *advisory.List, error) {
	file, _, err := vfs.OpenFile(name, vfs.RegularOnly(vfs.ErrNotRegular))
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, advisory.ListSizeMax+1))
	if err != nil {
		return nil, nil, err
	}
	l, err := parse(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return text, l, nil
}

// known are the targets that the next ones are made of: those of the draft, or else the published ones.
func (r *Repository) known() (*metadata.Metadata[metadata.TargetsType], error) {
	switch {
	case r.targets == nil:
		return nil, fmt.Errorf("%s: %w; one that lacks signatures is signed first: tbctl-engines tuf sign", r.dir, ErrNone)
	case r.nextTargets != nil:
		return r.nextTargets, nil
	}
	return r.targets, nil
}

// bring verifies a file, and copies it to its place among the targets.
func (r *Repository) bring(ctx context.Context, tag release.Tag, name string, known *metadata.Metadata[metadata.TargetsType]) (string, *metadata.TargetFiles, error) {
	executable, err := input.OpenExecutable(ctx, name, nil)
	if err != nil {
		return "", nil, err
	}
	report, err := verify.File(ctx, executable, executable.Size(), verify.Options{})
	err = errors.Join(err, executable.Close())
	if err == nil {
		err = report.Err(name)
	}
	if err != nil {
		return "", nil, err
	}
	want, err := tag.Releases()
	if err != nil {
		return "", nil, err
	}
	if err := report.Binary.Current().OneOf(want); err != nil {
		return "", nil, fmt.Errorf("%s: %w", name, err)
	}
	file, info, err := vfs.OpenFile(name, vfs.RegularOnly(vfs.ErrNotRegular))
	if err != nil {
		return "", nil, err
	}
	defer file.Close()
	if info.Size() > release.AssetSizeMax {
		return "", nil, fmt.Errorf("%w: %d bytes", vfs.ErrTooLarge, info.Size())
	}
	prefix := make([]byte, archive.HeaderSize)
	count, err := file.ReadAt(prefix, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", nil, err
	}
	names := engine.TargetNames(tag, report.Platform, report.Binary.Debug())
	target := names[0]
	if archive.Sniff(prefix[:count]) == archive.KindZip {
		target = names[1]
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(file, 0, info.Size())); err != nil {
		return "", nil, err
	}
	digest := sum.Sum(nil)
	if there := known.Signed.Targets[target]; there != nil && !bytes.Equal(there.Hashes["sha256"], digest) {
		return "", nil, fmt.Errorf("%s: %w", target, ErrOther)
	}
	dir, base, _ := strings.Cut(target, "/")
	place := filepath.Join(r.dir, targetsDir, dir)
	if err := durable.MkdirAll(vfs.OS(), place, 0o755); err != nil {
		return "", nil, err
	}
	err = durable.WriteFile(vfs.OS(), filepath.Join(place, hexSum(digest)+"."+base), 0o644, true, func(w io.Writer) error {
		copied := sha256.New()
		if _, err := io.Copy(io.MultiWriter(w, copied), io.NewSectionReader(file, 0, info.Size())); err != nil {
			return err
		}
		if !bytes.Equal(copied.Sum(nil), digest) {
			return verify.ErrChanged
		}
		return nil
	})
	return target, &metadata.TargetFiles{Length: info.Size(), Hashes: metadata.Hashes{"sha256": digest}, Path: target}, err
}
