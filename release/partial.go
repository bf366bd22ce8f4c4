package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
)

const (
	// PartialAgeMax is how long the remains of an interrupted download are kept.
	PartialAgeMax = 7 * 24 * time.Hour

	partialHead     = 1 << 10 // bytes before the data
	partialSuffix   = ".partial"
	partialSweepMax = 256 // old files looked at a time
	partialVersion  = 1
)

// A head stands in front of a partial file's data, padded to partialHead bytes with spaces and a
// newline. It is in the same file so that the two can never be of different downloads.
type head struct {
	Version   int       `json:"version"`
	URLSHA256 string    `json:"url_sha256"`
	Validator string    `json:"validator"`
	Total     int64     `json:"total"` // bytes of the asset, -1 if unknown
	Time      time.Time `json:"time"`  // of the first byte
}

// A partial keeps what a download receives for a later process. The file system's lock on it is held
// while it is open, so two downloads cannot mix their bytes.
//
// Its data is a hope and no truth: after a power cut it may have any contents at its length. Fetch
// checks the whole asset anyway and begins again without it when something is wrong.
//
// On a nil partial all methods do nothing. The first error of the disk ends its use, not the download.
type partial struct {
	file *durable.Partial
	head head
	have int64 // bytes of data
	err  error // why it is no longer used
}

// openPartial opens what an earlier run has received from u, if that is usable, or an empty one. It
// returns nil, and why, when there is none to be had: no cache directory, one that others can write to,
// another process at work on it.
func openPartial(cacheDir string, u *url.URL) (*partial, error) {
	if cacheDir == "" {
		return nil, nil
	}
	dir, path, err := openCache(cacheDir, downloadsName)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	sweepPartials(dir, path, time.Now())
	key := urlKey(u)
	file, err := openOwn(filepath.Join(path, key[:32]+partialSuffix))
	if err != nil {
		return nil, err
	}
	p := &partial{file: file}
	if !p.load(key, time.Now()) {
		p.have = 0
		p.head = head{Version: partialVersion, URLSHA256: key}
		if err := file.Truncate(0); err != nil {
			file.Close()
			return nil, err
		}
	}
	return p, nil
}

// openOwn opens a partial file, or makes it. One that another user could have written is left alone: a
// forged one would be taken for the asset's bytes, of which only the last is asked of the server.
func openOwn(path string) (*durable.Partial, error) {
	file, err := durable.OpenPartial(vfs.OS(), path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		err = ownFile(path, info)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// urlKey identifies a URL without storing it.
func urlKey(u *url.URL) string {
	bare := *u
	bare.User, bare.Fragment = nil, ""
	sum := sha256.Sum256([]byte(bare.String()))
	return hex.EncodeToString(sum[:])
}

// load reads the head and reports whether the data after it may be used.
func (p *partial) load(key string, now time.Time) bool {
	b := make([]byte, partialHead)
	if n, err := p.file.ReadAt(b, 0); n < len(b) || err != nil && err != io.EOF {
		return false
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	if decoder.Decode(&p.head) != nil {
		return false
	}
	p.have = p.file.Size() - partialHead
	age := now.Sub(p.head.Time)
	return p.head.Version == partialVersion && p.head.URLSHA256 == key && p.head.Validator != "" &&
		len(p.head.Validator) <= validatorSizeMax && age < PartialAgeMax && age > -time.Hour &&
		p.have > 0 && (p.head.Total < 0 || p.have <= p.head.Total) && p.have <= AssetSizeMax
}

// begin makes p empty and ready for the bytes that the validator identifies.
func (p *partial) begin(validator string, total int64, now time.Time) {
	if p == nil || p.err != nil {
		return
	}
	p.have = 0
	p.head = head{Version: partialVersion, URLSHA256: p.head.URLSHA256, Validator: validator, Total: total, Time: now.UTC()}
	b, err := json.Marshal(p.head)
	if err == nil && len(b) >= partialHead {
		err = fmt.Errorf("%w: the head has %d bytes", ErrTooLarge, len(b))
	}
	if err == nil {
		err = p.file.Truncate(0)
	}
	if err == nil && validator != "" {
		b = append(b, bytes.Repeat([]byte(" "), partialHead-1-len(b))...)
		_, err = p.file.Write(append(b, '\n'))
	}
	p.failed(err)
}

// append keeps what came. Without a validator nothing is kept, as it could not be continued.
func (p *partial) append(b []byte) {
	if p == nil || p.err != nil || p.head.Validator == "" {
		return
	}
	n, err := p.file.Write(b)
	p.have += int64(n)
	p.failed(err)
}

// failed gives up on the file, for example when its disk is full.
func (p *partial) failed(err error) {
	if err == nil {
		return
	}
	p.err, p.have = err, 0
	if failed := p.file.Truncate(0); failed != nil {
		p.err = fmt.Errorf("%w (%w)", err, failed)
	}
}

// cut drops the data from offset on.
func (p *partial) cut(offset int64) {
	if p == nil || p.err != nil || p.have <= offset {
		return
	}
	err := p.file.Truncate(partialHead + offset)
	p.have = offset
	p.failed(err)
}

// readAt reads data that is kept.
func (p *partial) readAt(b []byte, offset int64) (int, error) {
	n, err := p.file.ReadAt(b[:min(int64(len(b)), p.have-offset)], partialHead+offset)
	if n > 0 {
		return n, nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return 0, fmt.Errorf("read %s: %w", p.file.Path(), err)
}

// close keeps the data for a later process, if there is any, and reports whether it did.
func (p *partial) close() bool {
	if p == nil {
		return false
	}
	if p.have == 0 || p.err != nil {
		p.remove()
		return false
	}
	return p.file.Close() == nil
}

// remove removes the file.
func (p *partial) remove() {
	if p == nil {
		return
	}
	if err := p.file.Remove(); err != nil {
		p.file.Close()
	}
}

// sweepPartials removes what is too old to be continued. It does what it can: a file that stays does
// no harm.
func sweepPartials(dir vfs.Dir, path string, now time.Time) {
	names, err := dir.List("", partialSweepMax)
	if err != nil {
		return
	}
	for _, name := range names {
		if !strings.HasSuffix(name, partialSuffix) {
			continue
		}
		info, err := dir.Lstat(name)
		if err != nil || info.Kind != vfs.KindFile || now.Sub(info.Modified) < PartialAgeMax {
			continue
		}
		// Opening takes the lock, so that no download is removed while another process makes it.
		if old, err := openOwn(filepath.Join(path, name)); err == nil {
			if old.Remove() != nil {
				old.Close()
			}
		}
	}
}
