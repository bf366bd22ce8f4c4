package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
)

const (
	parentMode vfs.Mode = 0o755
	dirMode    vfs.Mode = 0o700
	fileMode   vfs.Mode = 0o600

	swapLock = ".lock"    // held by who swaps
	incoming = "incoming" // what is being written is named after it

	valueSuffix  = ".value"  // KEY.value: the line "tbctl-state 1 REVISION", then the value
	lockSuffix   = ".lock"   // KEY.lock: locked by the holder; never removed
	holderSuffix = ".holder" // KEY.holder: who that is

	head          = "tbctl-state 1 "
	headSizeMax   = len(head) + 20 // with the revision and the newline
	holderSizeMax = 4 << 10
	mark          = 1 // the byte of a lock file that its holder marks, so that readers need not lock it
)

// ErrDamaged says that a file of the state is not one that tbctl wrote.
var ErrDamaged = errors.New("not written by tbctl, or damaged")

// Files keeps state in a directory of this machine, for all processes of one user. Readers take no lock: a value is replaced as a
// whole. A key is held for as long as its process lives; on systems other than Linux it cannot be seen without
// trying whether that of another still does.
type Files struct {
	fsys vfs.FS
	dir  string

	mu    sync.Mutex
	holds map[*Hold]func(context.Context) error
}

// OpenFiles returns the state in a directory, an absolute path. Nothing is made before something is written. A directory that another
// user may write is refused by every method with [durable.ErrForeign].
func OpenFiles(fsys vfs.FS, dir string) *Files {
	return &Files{fsys: fsys, dir: dir, holds: make(map[*Hold]func(context.Context) error)}
}

// fileName is the name of a key's file. No key has a "=".
func fileName(key, suffix string) string { return strings.ReplaceAll(key, "/", "=") + suffix }

// keyOf is the key that a file is of.
func keyOf(name, suffix string) (string, bool) {
	text, is := strings.CutSuffix(name, suffix)
	key := strings.ReplaceAll(text, "=", "/")
	return key, is && !strings.Contains(text, "/") && CheckKey(key) == nil
}

// open opens the directory; to write it is made first.
func (f *Files) open(ctx context.Context, write bool) (vfs.Dir, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if write {
		if err := durable.MkdirAll(f.fsys, filepath.Dir(f.dir), parentMode); err != nil {
			return nil, err
		}
		if err := durable.MkdirAll(f.fsys, f.dir, dirMode); err != nil {
			return nil, err
		}
	}
	dir, err := f.fsys.OpenDir(f.dir)
	if err != nil {
		return nil, err
	}
	if err := durable.OwnDir(dir, f.fsys.Self()); err != nil {
		dir.Close()
		return nil, &fs.PathError{Op: "use", Path: f.dir, Err: err}
	}
	return dir, nil
}

// read reads a file of the directory; none is nil.
func (f *Files) read(dir vfs.Dir, name string, sizeMax int) ([]byte, error) {
	text, err := readFile(dir, name, sizeMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: filepath.Join(f.dir, name), Err: vfs.Cause(err)}
	}
	return text, nil
}

func readFile(dir vfs.Dir, name string, sizeMax int) ([]byte, error) {
	info, err := dir.Lstat(name) // before it is opened: that does something to some devices
	if err == nil {
		err = vfs.Regular(info)
	}
	if err != nil {
		return nil, err
	}
	file, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err = file.Stat(); err == nil {
		err = vfs.Regular(info)
	}
	if err == nil && info.Size > int64(sizeMax) {
		err = vfs.ErrTooLarge
	}
	if err != nil {
		return nil, err
	}
	text := make([]byte, info.Size)
	return text, vfs.ReadFull(file, text, 0)
}

// value reads a key.
func (f *Files) value(dir vfs.Dir, key string) ([]byte, int64, error) {
	name := fileName(key, valueSuffix)
	text, err := f.read(dir, name, headSizeMax+ValueSizeMax)
	if text == nil || err != nil {
		return nil, 0, err
	}
	first, value, is := bytes.Cut(text, []byte("\n"))
	number, isHead := strings.CutPrefix(string(first), head)
	revision, err := strconv.ParseInt(number, 10, 64)
	if !is || !isHead || err != nil || revision < 1 || strconv.FormatInt(revision, 10) != number || len(value) > ValueSizeMax {
		return nil, 0, &fs.PathError{Op: "read", Path: filepath.Join(f.dir, name), Err: ErrDamaged}
	}
	return value, revision, nil
}

// Get implements [Store].
func (f *Files) Get(ctx context.Context, key string) (value []byte, revision int64, err error) {
	if err = CheckKey(key); err == nil {
		value, revision, err = f.get(ctx, key)
	}
	return value, revision, said("look up", key, err)
}

func (f *Files) get(ctx context.Context, key string) ([]byte, int64, error) {
	dir, err := f.open(ctx, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer dir.Close()
	return f.value(dir, key)
}

// Swap implements [Store].
func (f *Files) Swap(ctx context.Context, key string, value []byte, revision int64) (next int64, err error) {
	if err = CheckKey(key); err == nil {
		err = CheckValue(value)
	}
	if err == nil {
		next, err = f.swap(ctx, key, value, revision)
	}
	return next, said("write", key, err)
}

func (f *Files) swap(ctx context.Context, key string, value []byte, revision int64) (int64, error) {
	dir, err := f.open(ctx, true)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	lock, err := f.lock(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer lock.Close()
	_, there, err := f.value(dir, key)
	if err != nil {
		return 0, err
	}
	if there != revision {
		return 0, ErrStale
	}
	if there == math.MaxInt64 {
		return 0, fmt.Errorf("%w: there is no higher revision", ErrDamaged)
	}
	if there == 0 {
		if err := f.room(dir, valueSuffix); err != nil {
			return 0, err
		}
	}
	next := there + 1
	return next, f.write(fileName(key, valueSuffix), append(strconv.AppendInt([]byte(head), next, 10), append([]byte("\n"), value...)...))
}

// lock takes the lock under which values are written.
func (f *Files) lock(ctx context.Context, dir vfs.Dir) (lock vfs.File, err error) {
	err = durable.WhileBusy(ctx, durable.WaitForever, func() error {
		lock, err = durable.OpenLocked(dir, swapLock, func() (vfs.File, error) { return durable.OpenOrCreate(dir, swapLock, fileMode) },
			func(vfs.File) error { return &durable.BusyError{Path: filepath.Join(f.dir, swapLock)} })
		return err
	})
	return lock, err
}

// write replaces a file, durably.
func (f *Files) write(name string, text []byte) error {
	output, err := durable.Create(f.fsys, filepath.Join(f.dir, incoming), fileMode, true)
	if err != nil {
		return err
	}
	if _, err := output.Write(text); err != nil {
		return errors.Join(err, output.Abort())
	}
	return output.CommitAs(name)
}

// room refuses one key more than there may be.
func (f *Files) room(dir vfs.Dir, suffix string) error {
	keys, err := f.keys(dir, "", suffix)
	if err == nil && len(keys) >= KeysMax {
		err = fmt.Errorf("%s: %w: %d", f.dir, ErrTooMany, len(keys))
	}
	return err
}

// keys are those of files with a suffix that begin with a text, in order.
func (f *Files) keys(dir vfs.Dir, prefix, suffix string) ([]string, error) {
	const namesMax = 4 * KeysMax // three of each key, and what is being written
	names, err := dir.List("", namesMax)
	if err != nil {
		return nil, &fs.PathError{Op: "list", Path: f.dir, Err: vfs.Cause(err)}
	}
	if len(names) == namesMax {
		return nil, fmt.Errorf("%s: %w: %d files or more", f.dir, ErrTooMany, namesMax)
	}
	var keys []string
	for _, name := range names {
		if key, is := keyOf(name, suffix); is && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// List implements [Store].
func (f *Files) List(ctx context.Context, prefix string) (entries []Entry, err error) {
	if err = CheckPrefix(prefix); err == nil {
		err = f.each(ctx, prefix, valueSuffix, func(dir vfs.Dir, key string) error {
			value, revision, err := f.value(dir, key)
			if err == nil && revision > 0 {
				entries = append(entries, Entry{key, value, revision})
			}
			return err
		})
	}
	return entries, said("list", prefix, err)
}

// each calls what for each key of files with a suffix.
func (f *Files) each(ctx context.Context, prefix, suffix string, what func(vfs.Dir, string) error) error {
	dir, err := f.open(ctx, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	keys, err := f.keys(dir, prefix, suffix)
	for _, key := range keys {
		if err == nil {
			err = what(dir, key)
		}
	}
	return err
}
