package tuf

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/vfs"
)

const (
	dirMode  vfs.Mode = 0o700
	fileMode vfs.Mode = 0o600

	lockName    = ".lock"
	rootSuffix  = ".root.json"
	dirNameMax  = 200 // bytes
	keptFileMax = 10_000
)

// others are the files besides the roots that are kept, in the order in which they are trusted.
var others = []string{metadata.TIMESTAMP, metadata.SNAPSHOT, metadata.TARGETS}

// kept is what was seen of a repository: each root since the first that was trusted, each signed by the one before, and the newest
// timestamp, snapshot and targets. One process at a time has it.
type kept struct {
	dir   string
	lock  vfs.File
	first int64 // version of the first root
	texts [][]byte
	roots []*metadata.Metadata[metadata.RootType]
	other map[string][]byte // by role
}

// dirName is the name of a repository's directory.
func dirName(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	name := url.PathEscape(rest)
	if len(name) > dirNameMax || strings.HasPrefix(name, ".") {
		sum := sha256.Sum256([]byte(address))
		return hex.EncodeToString(sum[:])
	}
	return name
}

// open opens what is kept of a repository, waits for its lock, and checks all of it. The error of what is damaged is [engine.ErrTUFKept], of
// what others may have written [engine.ErrTUFOthers].
func open(ctx context.Context, parent, address string) (*kept, error) {
	k := &kept{dir: filepath.Join(parent, dirName(address)), other: make(map[string][]byte)}
	if err := durable.MkdirAll(vfs.OS(), k.dir, dirMode); err != nil {
		return nil, err
	}
	dir, err := vfs.OS().OpenDir(k.dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	err = durable.WhileBusy(ctx, durable.WaitForever, func() error {
		k.lock, err = durable.OpenLocked(dir, lockName, func() (vfs.File, error) { return durable.OpenOrCreate(dir, lockName, fileMode) },
			func(vfs.File) error { return &durable.BusyError{Path: filepath.Join(k.dir, lockName)} })
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := k.read(dir); err != nil {
		k.lock.Close()
		return nil, err
	}
	return k, nil
}

func (k *kept) close() { k.lock.Close() }

// read reads and checks what is there.
func (k *kept) read(dir vfs.Dir) error {
	names, err := dir.List("", keptFileMax+1)
	if err != nil {
		return err
	}
	if len(names) > keptFileMax {
		return fmt.Errorf("%s: %w: more than %d files", k.dir, engine.ErrTUFKept, keptFileMax)
	}
	var versions []int64
	for _, name := range names {
		if number, is := strings.CutSuffix(name, rootSuffix); is {
			if version, err := strconv.ParseInt(number, 10, 64); err == nil {
				versions = append(versions, version)
			}
		}
	}
	slices.Sort(versions)
	var set *trustedmetadata.TrustedMetadata
	for _, version := range versions {
		name := rootName(version)
		text, err := k.readFile(name)
		if err != nil {
			return err
		}
		if set == nil {
			set, err = trustedmetadata.New(text)
		} else {
			_, err = set.UpdateRoot(text)
		}
		if err == nil && set.Root.Signed.Version != version {
			err = fmt.Errorf("it is version %d", set.Root.Signed.Version)
		}
		if err != nil {
			return k.damaged(name, err)
		}
		k.first = cmp.Or(k.first, version)
		k.texts, k.roots = append(k.texts, text), append(k.roots, set.Root)
	}
	for _, role := range others {
		text, err := k.readFile(role + ".json")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := k.vouched(role, text); err != nil {
			return k.damaged(role+".json", err)
		}
		k.other[role] = text
	}
	return nil
}

func rootName(version int64) string { return strconv.FormatInt(version, 10) + rootSuffix }

// readFile reads a file that root or this user wrote, and nobody else: who may write it says whose signature counts. Otherwise the error is
// [engine.ErrTUFOthers].
func (k *kept) readFile(name string) ([]byte, error) {
	path := filepath.Join(k.dir, name)
	file, info, err := vfs.OpenFile(path, vfs.RegularOnly(vfs.ErrNotRegular))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	why := vfs.OthersMayWrite(path, info, os.Geteuid())
	if why == "" {
		if info, err = vfs.Stat(k.dir); err != nil {
			return nil, err
		}
		path, why = k.dir, vfs.OthersMayWrite(k.dir, info, os.Geteuid())
	}
	if why != "" {
		return nil, fmt.Errorf("%s: %w: %s", path, engine.ErrTUFOthers, why)
	}
	return io.ReadAll(io.NewSectionReader(file, 0, metadataMax))
}

func (k *kept) damaged(name string, err error) error {
	return fmt.Errorf("%s: %w: %w", filepath.Join(k.dir, name), engine.ErrTUFKept, fault.JSON(err))
}

// vouched compares a file with the roots: it was signed when it was kept, by the keys of the newest root or of an earlier one.
func (k *kept) vouched(role string, text []byte) error {
	switch role {
	case metadata.TIMESTAMP:
		return signedBy(k.roots, role, text, metadata.Timestamp())
	case metadata.SNAPSHOT:
		return signedBy(k.roots, role, text, metadata.Snapshot())
	}
	return signedBy(k.roots, role, text, metadata.Targets())
}

func signedBy[T metadata.Roles](roots []*metadata.Metadata[metadata.RootType], role string, text []byte, into *metadata.Metadata[T]) error {
	signed, err := into.FromBytes(text)
	if err != nil {
		return err
	}
	err = errors.New("there is no root beside it")
	for _, root := range slices.Backward(roots) {
		if err = root.VerifyDelegate(role, signed); err == nil {
			return nil
		}
	}
	return err
}

// newest is the text of the newest root; nil: nothing is kept.
func (k *kept) newest() []byte {
	if len(k.texts) == 0 {
		return nil
	}
	return k.texts[len(k.texts)-1]
}

// root is the text of the root of a version; nil: it is not kept.
func (k *kept) root(version int64) []byte {
	if at := version - k.first; len(k.texts) > 0 && at >= 0 && at < int64(len(k.texts)) {
		return k.texts[at]
	}
	return nil
}

// addRoot keeps the next root, which the one before vouches for.
func (k *kept) addRoot(version int64, text []byte) error {
	if err := k.write(rootName(version), text); err != nil {
		return err
	}
	k.first = cmp.Or(k.first, version)
	k.texts = append(k.texts, text)
	return nil
}

// write keeps a file, durably.
func (k *kept) write(name string, text []byte) error {
	return durable.WriteFile(vfs.OS(), filepath.Join(k.dir, name), fileMode, true, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}
