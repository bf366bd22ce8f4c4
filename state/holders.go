package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/vfs"
)

// holder is what a holder's file says.
type holder struct {
	Who   string    `json:"who"`
	Since time.Time `json:"since"`
}

// Hold implements [Store].
func (f *Files) Hold(ctx context.Context, key, who string) (hold *Hold, err error) {
	if err = CheckKey(key); err == nil {
		err = CheckWho(who)
	}
	if err == nil {
		hold, err = f.hold(ctx, key, who)
	}
	return hold, said("hold", key, err)
}

func (f *Files) hold(ctx context.Context, key, who string) (*Hold, error) {
	dir, err := f.open(ctx, true)
	if err != nil {
		return nil, err
	}
	failed := func(err error) (*Hold, error) {
		dir.Close()
		return nil, err
	}
	name := fileName(key, lockSuffix)
	if _, there, err := vfs.LstatMaybe(dir, name); err != nil || !there {
		if err == nil {
			err = f.room(dir, lockSuffix)
		}
		if err != nil {
			return failed(err)
		}
	}
	lock, err := durable.OpenLocked(dir, name, func() (vfs.File, error) { return durable.OpenOrCreate(dir, name, fileMode) },
		func(vfs.File) error {
			held := &HeldError{Holder{Key: key}}
			if holder, err := f.holder(dir, key); err == nil && holder != nil {
				held.Holder.Who, held.Holder.Since = holder.Who, holder.Since
			}
			return held
		})
	if err != nil {
		return failed(err)
	}
	end := func() error { // in this order: who is named holds it
		err := dir.Remove(fileName(key, holderSuffix))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return errors.Join(err, lock.Close(), dir.Close())
	}
	err = dir.Remove(fileName(key, holderSuffix)) // of one that died
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		if err = lock.Mark(mark); errors.Is(err, vfs.ErrNotSupported) {
			err = nil
		}
	}
	since := time.Now().UTC().Truncate(time.Second)
	if err == nil {
		var text []byte
		if text, err = json.Marshal(holder{who, since}); err == nil {
			err = f.write(fileName(key, holderSuffix), append(text, '\n'))
		}
	}
	if err != nil {
		return nil, errors.Join(err, end())
	}
	return f.keep(Holder{Key: key, Who: who, Since: since}, end), nil
}

// keep makes a hold that ends with the store at the latest.
func (f *Files) keep(holder Holder, end func() error) *Hold {
	var hold *Hold
	var once sync.Once
	release := func(context.Context) (err error) {
		once.Do(func() {
			f.mu.Lock()
			delete(f.holds, hold)
			f.mu.Unlock()
			err = end()
		})
		return err
	}
	hold = NewHold(holder, release)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holds[hold] = release
	return hold
}

// holder reads who holds a key; nil: nobody is named.
func (f *Files) holder(dir vfs.Dir, key string) (*holder, error) {
	name := fileName(key, holderSuffix)
	text, err := f.read(dir, name, holderSizeMax)
	if text == nil || err != nil {
		return nil, err
	}
	var found holder
	if err := fault.UnmarshalKnown(text, &found); err != nil || CheckWho(found.Who) != nil {
		return nil, &fs.PathError{Op: "read", Path: filepath.Join(f.dir, name), Err: ErrDamaged}
	}
	return &found, nil
}

// Holders implements [Store].
func (f *Files) Holders(ctx context.Context, prefix string) (holders []Holder, err error) {
	if err = CheckPrefix(prefix); err == nil {
		err = f.each(ctx, prefix, holderSuffix, func(dir vfs.Dir, key string) error {
			named, err := f.holder(dir, key)
			if named == nil || err != nil {
				return err
			}
			alive, err := f.alive(dir, key)
			switch {
			case errors.Is(err, vfs.ErrNotSupported):
				holders = append(holders, Holder{key, named.Who, named.Since, true})
				return nil
			case alive:
				holders = append(holders, Holder{key, named.Who, named.Since, false})
			}
			return err
		})
	}
	return holders, said("list the holders of", prefix, err)
}

// alive says whether the process that holds a key is there.
func (f *Files) alive(dir vfs.Dir, key string) (bool, error) {
	name := fileName(key, lockSuffix)
	info, there, err := vfs.LstatMaybe(dir, name)
	if err != nil || !there {
		return false, err
	}
	if err := vfs.Regular(info); err != nil {
		return false, &fs.PathError{Op: "look at", Path: filepath.Join(f.dir, name), Err: err}
	}
	file, err := dir.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	return file.Marked(mark)
}

// Close implements [Store].
func (f *Files) Close() error {
	f.mu.Lock()
	holds := f.holds
	f.holds = make(map[*Hold]func(context.Context) error)
	f.mu.Unlock()
	var err error
	for hold, release := range holds {
		hold.Lose(ErrClosed)
		err = errors.Join(err, release(context.Background()))
	}
	return err
}

// said says what was to be done.
func said(what, key string, err error) error {
	if err == nil {
		return nil
	}
	if _, held := errors.AsType[*HeldError](err); held || errors.Is(err, ErrKey) { // it names the key itself
		return err
	}
	if key == "" {
		key = "all"
	}
	return fmt.Errorf("state: %s %s: %w", what, key, err)
}
