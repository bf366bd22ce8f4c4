package depot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/sizes"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
)

// Writer is an artifact in the making.
type Writer struct {
	depot    *Depot
	output   *durable.Output
	hash     hash.Hash
	reserved int64 // bytes, as far as the file system can
	next     int64 // the size at which it is looked again at what is free
	limits   limits
	began    time.Time
	looked   time.Time // for others that wait
}

// limits are what a store may grow to.
type limits struct {
	spare     int64 // bytes that are left free
	artifacts int
	others    bool // what others have under way counts, also where it is not seen yet that it is used
}

var (
	ownLimits      = limits{spare: SpareMin, artifacts: ArtifactsMax}
	receivedLimits = limits{ReceivedSpareMin, ReceivedMax, true}
)

// Create begins an artifact of about this size; 0: it is not known. What a writer left that died is cleared away. The caller ends it with
// Commit or Abort. When less than [SpareMin] would be free with it, the error is a [vfs.SpaceError].
func (d *Depot) Create(size int64) (*Writer, error) { return d.create(size, ownLimits) }

// Receive is Create for what another end sends: it stays within [ReceivedMax] and, with all that is under way in the store by whichever
// process, [ReceivedSpareMin]. Where others have reserved the room it waits a while, in which those that reserve more and come slowly give way;
// then the error is a [*ReservedError].
func (d *Depot) Receive(size int64) (*Writer, error) {
	var waits *durable.Output
	defer func() {
		if waits != nil {
			_ = waits.Abort() // it ends with the process in any case
		}
	}()
	var writer *Writer
	err := durable.WhileBusy(context.Background(), roomWait, func() (err error) {
		writer, err = d.create(size, receivedLimits)
		if _, reserved := errors.AsType[*ReservedError](err); reserved && waits == nil {
			waits, _ = durable.Create(d.fsys, filepath.Join(d.files(), named(waiting, size)), fileMode, false) // without it nobody gives way
		}
		return err
	})
	return writer, err
}

// named is the name of a file in the making: how large it will be, and who writes it.
func named(prefix string, size int64) string {
	return prefix + strconv.FormatInt(size, 10) + "-" + strconv.Itoa(os.Getpid())
}

// Incoming is an artifact that is on its way into a store.
type Incoming struct {
	Size int64 `json:"size"` // bytes, as it was announced; 0: that is not known
	PID  int   `json:"pid"`  // the process that writes it; 0: that is not known
}

// ReservedError says that there would be room for an artifact, but for what others have on its way.
type ReservedError struct {
	Space  *vfs.SpaceError
	Others []Incoming
}

// Error names the processes.
func (e *ReservedError) Error() string {
	var who []string
	for _, each := range e.Others {
		who = append(who, fmt.Sprintf("process %d (%s)", each.PID, sizes.Text(each.Size)))
	}
	return fmt.Sprintf("%v: others have reserved what was free: %s", e.Space, strings.Join(who, ", "))
}

// Unwrap returns how much room there is.
func (e *ReservedError) Unwrap() error { return e.Space }

// Class is [fault.Busy].
func (e *ReservedError) Class() fault.Class { return fault.Busy }

// Is matches [durable.ErrBusy].
func (e *ReservedError) Is(target error) bool { return target == durable.ErrBusy }

// ErrGaveWay says that an artifact came slowly, and that others waited for the room that it had reserved.
var ErrGaveWay = fault.New(fault.Busy, fmt.Sprintf("it came with less than %d KiB a second, and others wait for the room that it had reserved", slowest>>10))

func (d *Depot) create(size int64, limits limits) (*Writer, error) {
	if err := durable.MkdirAll(d.fsys, d.files(), dirMode); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if !limits.others {
		if err := d.spare(size, limits.spare); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
	}
	output, err := d.begin(size, limits)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	now := time.Now()
	return &Writer{depot: d, output: output, hash: sha256.New(), reserved: size, limits: limits, began: now, looked: now}, nil
}

// begin makes the file of an artifact, whose name says how large it will be, and reserves its room. Of what is under way counts twice what is
// written or reserved already, since not every file system says at once what is used.
func (d *Depot) begin(size int64, limits limits) (*durable.Output, error) {
	lock, err := d.lockWithin(context.Background(), beginWait)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	output, err := durable.Create(d.fsys, filepath.Join(d.files(), named(incoming, size)), fileMode, false)
	if err != nil {
		return nil, err
	}
	need := size
	others, err := d.underWay(size) // which clears away what writers left that died
	if need += total(others); !limits.others {
		need, err = size, nil
	}
	if err == nil {
		err = d.spare(need, limits.spare)
	}
	if err == nil && size > 0 {
		err = output.Reserve(size)
	}
	if space, full := errors.AsType[*vfs.SpaceError](err); full && limits.others {
		if without := space.Have + total(others); len(others) > 0 && without >= size+limits.spare {
			err = &ReservedError{space, others}
		} else {
			err = &vfs.SpaceError{Path: space.Path, Need: size, Have: space.Have, Kept: limits.spare}
		}
	}
	if err != nil {
		return nil, errors.Join(err, output.Abort())
	}
	return output, nil
}

// Incoming lists what is on its way into the store.
func (d *Depot) Incoming() ([]Incoming, error) {
	all, err := d.making(incoming)
	if errors.Is(err, fs.ErrNotExist) {
		return []Incoming{}, nil
	}
	return all, err
}

// making lists the files in the making whose names begin so.
func (d *Depot) making(prefix string) ([]Incoming, error) {
	dir, err := d.fsys.OpenDir(d.files())
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	bases, err := durable.Unfinished(dir, prefix, writersMax)
	all := []Incoming{}
	for _, base := range bases {
		size, pid, _ := strings.Cut(strings.TrimPrefix(base, prefix), "-")
		var each Incoming
		if bytes, err := strconv.ParseInt(size, 10, 64); err == nil && bytes > 0 {
			each.Size = min(bytes, multiversion.SizeMax)
		}
		if number, err := strconv.Atoi(pid); err == nil {
			each.PID = number
		}
		all = append(all, each)
	}
	return all, err
}

// underWay is what is on its way into the store besides one of this process that was just begun.
func (d *Depot) underWay(size int64) ([]Incoming, error) {
	all, err := d.making(incoming)
	own := Incoming{size, os.Getpid()}
	if at := slices.Index(all, own); at >= 0 {
		all = slices.Delete(all, at, at+1)
	}
	return all, err
}

// total is how large they will be.
func total(all []Incoming) (bytes int64) {
	for _, each := range all {
		bytes += each.Size
	}
	return bytes
}

// givesWay says that the artifact comes slowly, and that another one waits which needs less room.
func (w *Writer) givesWay() error {
	now := time.Now()
	if !w.limits.others || now.Sub(w.looked) < time.Second {
		return nil
	}
	w.looked = now
	since := now.Sub(w.began)
	if since < slowAfter || float64(w.output.Size()) >= slowest*since.Seconds() {
		return nil
	}
	all, err := w.depot.making(waiting)
	if err != nil {
		return nil //nolint:nilerr // nobody is seen to wait
	}
	for _, each := range all {
		if each.Size < w.reserved {
			return ErrGaveWay
		}
	}
	return nil
}

// spare refuses to store so many bytes more when fewer than are to be kept free would be left.
func (d *Depot) spare(need, kept int64) error {
	dir, err := d.fsys.OpenDir(d.files())
	if err != nil {
		return err
	}
	defer dir.Close()
	volume, err := dir.Volume()
	if err != nil {
		return &fs.PathError{Op: "look what is free at", Path: d.files(), Err: err}
	}
	if volume.FreeBytes < need+kept {
		return &vfs.SpaceError{Path: d.files(), Need: need, Have: volume.FreeBytes, Kept: kept}
	}
	return nil
}

// Write appends to the artifact. More than [multiversion.SizeMax] bytes are refused, and what would leave less
// than [SpareMin] free, also because others write there; what is received leaves more.
func (w *Writer) Write(data []byte) (int, error) {
	end := w.output.Size() + int64(len(data))
	if end > multiversion.SizeMax {
		return 0, fmt.Errorf("store: %w: more than %d bytes", vfs.ErrTooLarge, int64(multiversion.SizeMax))
	}
	if err := w.givesWay(); err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	if end >= w.next {
		beyond := min(int64(len(data)), max(0, end-w.reserved))
		if err := w.depot.spare(beyond, w.limits.spare); err != nil {
			return 0, fmt.Errorf("store: %w", err)
		}
		w.next = end + spareEvery
	}
	count, err := w.output.Write(data)
	w.hash.Write(data[:count])
	return count, err
}

// Size returns how many bytes were written.
func (w *Writer) Size() int64 { return w.output.Size() }

// ReadAt reads what was written.
func (w *Writer) ReadAt(data []byte, offset int64) (int, error) { return w.output.ReadAt(data, offset) }

// SHA256 is of what was written so far.
func (w *Writer) SHA256() string { return hex.EncodeToString(w.hash.Sum(nil)) }

// Commit stores what was written, durably, and returns it. Unless want is "" it must be its SHA-256,
// otherwise the error is [ErrDigest]. The same bytes may be there already; a file of their name with other bytes
// is set aside. After an error nothing was stored, unless it is of class unknown.
func (w *Writer) Commit(ctx context.Context, want string) (Artifact, error) {
	digest := w.SHA256()
	if want != "" && want != digest {
		return Artifact{}, errors.Join(fmt.Errorf("store: %w: %s, not %s", ErrDigest, digest, want), w.Abort())
	}
	var lock vfs.File
	err := ctx.Err()
	if err == nil {
		lock, err = w.depot.lock(ctx)
	}
	if err != nil {
		return Artifact{}, errors.Join(fmt.Errorf("store: %w", err), w.Abort())
	}
	defer lock.Close()
	switch err := w.depot.Check(ctx, digest); {
	case err == nil: // it is here
		if err := w.Abort(); err != nil {
			return Artifact{}, fmt.Errorf("store: %w", err)
		}
		return w.depot.Stat(digest)
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrDigest):
		return Artifact{}, errors.Join(fmt.Errorf("store: %w", err), w.Abort())
	}
	if err := w.depot.full(w.limits.artifacts); err != nil {
		return Artifact{}, errors.Join(fmt.Errorf("store: %w", err), w.Abort())
	}
	if err := w.output.CommitAs(digest); err != nil {
		return Artifact{}, fmt.Errorf("store: %w", err)
	}
	return w.depot.Stat(digest)
}

// full refuses one artifact more than so many.
func (d *Depot) full(most int) error {
	dir, err := d.fsys.OpenDir(d.files())
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := digests(dir)
	if err == nil && len(names) >= most {
		err = &FullError{Path: d.files(), Count: len(names), Most: most}
	}
	return err
}

// Abort throws away what was written. After Commit it does nothing.
func (w *Writer) Abort() error { return w.output.Abort() }
