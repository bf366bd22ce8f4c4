package delta

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
)

const (
	keptSuffix  = ".delta"
	keptMax     = 64        // files
	keptSizeMax = 256 << 20 // bytes of all of them
	keptListMax = 4 * keptMax
	keptMode    = 0o600
	keptDirMode = 0o700
)

// Kept is a directory in which deltas are kept, so that the next run need not make them again. Each is a file whose last bytes are the
// SHA-256 of those before; of too many the oldest go. What cannot be kept or read is made again: no method has an error. A nil
// Kept keeps nothing.
type Kept struct {
	FS    vfs.FS
	Dir   string // an absolute path
	Spare int64  // bytes that are left free: nothing is kept where fewer would be
}

// get returns what is kept under a name, nil if that is nothing or damaged.
func (k *Kept) get(name string) []byte {
	if k == nil {
		return nil
	}
	dir, err := k.FS.OpenDir(k.Dir)
	if err != nil {
		return nil
	}
	defer dir.Close()
	file, err := dir.Open(name + keptSuffix)
	if err != nil {
		return nil
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || vfs.Regular(info) != nil || info.Size < sha256.Size || info.Size > multiversion.SizeMax {
		return nil
	}
	data := make([]byte, info.Size)
	if count, err := file.ReadAt(data, 0); count < len(data) && err != nil {
		return nil
	}
	body := data[:len(data)-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], data[len(body):]) {
		return nil
	}
	return body
}

// put keeps a delta under a name.
func (k *Kept) put(name string, body []byte) {
	if k == nil || durable.MkdirAll(k.FS, k.Dir, keptDirMode) != nil {
		return
	}
	if !k.makeRoom(int64(len(body))) {
		return
	}
	_ = durable.WriteFile(k.FS, filepath.Join(k.Dir, name+keptSuffix), keptMode, true, func(w io.Writer) error {
		sum := sha256.Sum256(body)
		_, err := w.Write(append(body[:len(body):len(body)], sum[:]...))
		return err
	}) // it is made again
}

// makeRoom removes the oldest until one more of this size is not too much, and says whether it may be written.
func (k *Kept) makeRoom(more int64) bool {
	dir, err := k.FS.OpenDir(k.Dir)
	if err != nil {
		return false
	}
	defer dir.Close()
	size := more
	names, _ := dir.List("", keptListMax)
	type kept struct {
		name string
		at   time.Time
		size int64
	}
	var all []kept
	for _, name := range names {
		if info, err := dir.Lstat(name); err == nil && strings.HasSuffix(name, keptSuffix) && info.Kind == vfs.KindFile {
			all = append(all, kept{name, info.Modified, info.Size})
			size += info.Size
		}
	}
	slices.SortFunc(all, func(x, y kept) int { return cmp.Or(x.at.Compare(y.at), strings.Compare(x.name, y.name)) })
	for len(all) > 0 && (len(all) >= keptMax || size > keptSizeMax) {
		if dir.Remove(all[0].name) != nil {
			return false
		}
		size -= all[0].size
		all = all[1:]
	}
	volume, err := dir.Volume()
	return err == nil && volume.FreeBytes >= more+k.Spare
}
