package depot_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

const place = "/store"

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func put(d *depot.Depot, data []byte, want string) (depot.Artifact, error) {
	w, err := d.Create(0)
	if err != nil {
		return depot.Artifact{}, err
	}
	if _, err := w.Write(data); err != nil {
		return depot.Artifact{}, errors.Join(err, w.Abort())
	}
	return w.Commit(context.Background(), want)
}

func get(d *depot.Depot, digest string) ([]byte, error) {
	file, err := d.Open(digest)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.NewSectionReader(file, 0, file.Size()))
}

func TestPut(t *testing.T) {
	t.Parallel()
	d := depot.Open(vfs.OS(), filepath.Join(t.TempDir(), "store"))
	if list, err := d.List(); err != nil || len(list) != 0 {
		t.Errorf("an empty depot: %v, %v", list, err)
	}
	data := []byte("an artifact")
	digest := digestOf(data)
	if _, err := put(d, data, digestOf(nil)); !errors.Is(err, depot.ErrDigest) || fault.Of(err) != fault.Rejected {
		t.Errorf("other bytes than asked for: %v", err)
	}
	for range 2 { // the second one is there already
		artifact, err := put(d, data, digest)
		if err != nil || artifact.SHA256 != digest || artifact.Size != int64(len(data)) {
			t.Fatalf("%+v, %v", artifact, err)
		}
	}
	if got, err := get(d, digest); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%q, %v", got, err)
	}
	info, err := os.Stat(d.Path(digest))
	if err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for _, name := range []string{"", "../../etc/passwd", digest[:63], strings.ToUpper(digest), ".lock", digest + ".receipts"} {
		if _, err := d.Open(name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q is opened: %v", name, err)
		}
	}
	if err := os.Symlink("/etc/passwd", d.Path(digestOf(nil))); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Open(digestOf(nil)); err == nil {
		t.Error("a symbolic link is followed")
	}
}

// TestChanged holds that bytes which changed are found, set aside, and can be had again.
func TestChanged(t *testing.T) {
	t.Parallel()
	d := depot.Open(vfs.OS(), t.TempDir())
	data := []byte("an artifact")
	digest := digestOf(data)
	for range 6 { // more often than there are names to set aside to
		if _, err := put(d, data, digest); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(d.Path(digest), []byte("an Artifact"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := d.Check(t.Context(), digest); !errors.Is(err, depot.ErrDigest) || !strings.Contains(err.Error(), "set aside") {
			t.Fatalf("%v, want %v", err, depot.ErrDigest)
		}
		if err := d.Check(t.Context(), digest); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%v, want %v", err, fs.ErrNotExist)
		}
	}
	// One that changed is replaced by the next that brings it.
	for range 2 {
		if _, err := put(d, data, digest); err != nil {
			t.Fatal(err)
		}
		if got, err := get(d, digest); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%q, %v", got, err)
		}
		if err := os.WriteFile(d.Path(digest), []byte("an"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestExchanged holds that a whole artifact which comes in the place of a changed one while that is read is not set aside for it.
func TestExchanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := []byte("an artifact")
	digest := digestOf(data)
	for _, again := range []bool{false, true} {
		fsys := &exchanging{FS: vfs.OS(), digest: digest}
		d := depot.Open(fsys, dir)
		if _, err := put(d, data, digest); err != nil {
			t.Fatal(err)
		}
		write := func(text []byte) {
			if err := errors.Join(os.WriteFile(d.Path(digest)+".new", text, 0o644), os.Rename(d.Path(digest)+".new", d.Path(digest))); err != nil {
				t.Error(err)
			}
		}
		write([]byte("an Artifact"))
		fsys.opened = func() {
			if !again {
				fsys.opened = nil
				write(data)
				return
			}
			write([]byte("an Artifact"))
		}
		err := d.Check(t.Context(), digest)
		if !again && err != nil || again && (!errors.Is(err, depot.ErrExchanged) || fault.Of(err) != fault.Busy) {
			t.Errorf("again and again %v: %v", again, err)
		}
		if aside, err := d.SetAside(); err != nil || len(aside) != 0 {
			t.Errorf("again and again %v: %+v was set aside, %v", again, aside, err)
		}
	}
}

// exchanging tells each time that the artifact was opened.
type exchanging struct {
	vfs.FS
	digest string
	opened func()
}

func (e *exchanging) OpenDir(name string) (vfs.Dir, error) {
	dir, err := e.FS.OpenDir(name)
	return &exchangingDir{dir, e}, err
}

type exchangingDir struct {
	vfs.Dir
	of *exchanging
}

func (d *exchangingDir) Open(name string) (vfs.File, error) {
	file, err := d.Dir.Open(name)
	if name == d.of.digest && d.of.opened != nil {
		d.of.opened()
	}
	return file, err
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	d := depot.Open(vfs.OS(), t.TempDir())
	artifact, err := put(d, []byte("an artifact"), "")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for index := range depot.ReceiptsMax + 2 {
		if err := d.AddReceipts(t.Context(), artifact.SHA256, depot.Receipt{Kind: "sums", By: fmt.Sprint(index), Time: at}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.AddReceipts(t.Context(), artifact.SHA256, depot.Receipt{Kind: "sums", By: "5", Time: at.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	list, err := d.List()
	if err != nil || len(list) != 1 || len(list[0].Receipts) != depot.ReceiptsMax {
		t.Fatalf("%+v, %v", list, err)
	}
	if first, last := list[0].Receipts[0], list[0].Receipts[depot.ReceiptsMax-1]; first.By != "2" || last.By != "5" || !last.Time.Equal(at.Add(time.Hour)) {
		t.Errorf("from %+v to %+v", first, last)
	}
	if err := d.AddReceipts(t.Context(), artifact.SHA256, depot.Receipt{By: strings.Repeat("a", 5<<10)}); !errors.Is(err, vfs.ErrTooLarge) {
		t.Errorf("%v", err)
	}
	for _, name := range []string{"", "../" + artifact.SHA256, artifact.SHA256[:63]} {
		if err := d.AddReceipts(t.Context(), name, depot.Receipt{Kind: "sums"}); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("a receipt of %q: %v", name, err)
		}
	}
	for _, text := range []string{"null", "[", "{}", ""} { // what cannot be read vouches for nothing, and hides no artifact
		if err := os.WriteFile(d.Path(artifact.SHA256)+".receipts", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if found, err := d.Stat(artifact.SHA256); err != nil || found.Receipts == nil || len(found.Receipts) != 0 {
			t.Errorf("receipts %q: %+v, %v", text, found, err)
		}
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	d := depot.Open(vfs.OS(), t.TempDir())
	data := []byte("an artifact")
	artifact, err := put(d, data, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.AddReceipts(t.Context(), artifact.SHA256, depot.Receipt{Kind: "sums"}); err != nil {
		t.Fatal(err)
	}
	file, err := d.Open(artifact.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if removed, err := d.Remove(t.Context(), artifact.SHA256, func() (bool, error) { return true, nil }); removed || err != nil {
		t.Errorf("what is to be kept: %v, %v", removed, err)
	}
	broken := errors.New("broken")
	if removed, err := d.Remove(t.Context(), artifact.SHA256, func() (bool, error) { return false, broken }); removed || !errors.Is(err, broken) {
		t.Errorf("what is not known: %v, %v", removed, err)
	}
	if removed, err := d.Remove(t.Context(), artifact.SHA256, func() (bool, error) { return false, nil }); !removed || err != nil {
		t.Errorf("%v, %v", removed, err)
	}
	if got, err := io.ReadAll(io.NewSectionReader(file, 0, file.Size())); err != nil || !bytes.Equal(got, data) {
		t.Errorf("who reads it meanwhile gets %q, %v", got, err)
	}
	if list, err := d.List(); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

// TestManyWriters stores one artifact from many writers at once: one file, whole.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := bytes.Repeat([]byte("an artifact"), 10_000)
	var writers sync.WaitGroup
	for range 16 {
		writers.Go(func() {
			if _, err := put(depot.Open(vfs.OS(), dir), data, digestOf(data)); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	d := depot.Open(vfs.OS(), dir)
	if err := d.Check(t.Context(), digestOf(data)); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "sha256"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() != digestOf(data) && entry.Name() != ".lock" {
			t.Errorf("left over: %s", entry.Name())
		}
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	d := depot.Open(vfs.OS(), t.TempDir())
	w, err := d.Create(0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(make([]byte, multiversion.SizeMax+1)); !errors.Is(err, vfs.ErrTooLarge) || w.Size() > 0 {
		t.Errorf("%d bytes, %v", w.Size(), err)
	}
}

// TestFaults fails and crashes at every operation of putting, noting and removing: what is listed is whole, what was
// answered is there, and the same command again converges.
func TestFaults(t *testing.T) {
	t.Parallel()
	data, digest := []byte("an artifact"), digestOf([]byte("an artifact"))
	acts := []func(d *depot.Depot) error{
		func(d *depot.Depot) error { _, err := put(d, data, digest); return err },
		func(d *depot.Depot) error {
			return d.AddReceipts(context.Background(), digest, depot.Receipt{Kind: "sums"})
		},
		func(d *depot.Depot) error {
			_, err := d.Remove(context.Background(), digest, func() (bool, error) { return false, nil })
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		},
	}
	tried := 0
	for number, act := range acts {
		setUp := func() (*memfs.FS, *depot.Depot) {
			m := memfs.New(memfs.Options{})
			d := depot.Open(m, place)
			for _, before := range acts[:number] {
				if err := before(d); err != nil {
					t.Fatal(err)
				}
			}
			m.CrashAt(0)
			return m, d
		}
		m, d := setUp()
		if err := act(d); err != nil {
			t.Fatal(err)
		}
		for operation := range m.Count() {
			for how, disturb := range map[string]func(*memfs.FS){
				"nothing kept": func(m *memfs.FS) { m.CrashAt(operation + 1) }, "all kept": func(m *memfs.FS) { m.CrashAt(operation + 1) },
				"fails": func(m *memfs.FS) { m.FailAt(operation+1, errors.New("injected")) }, "fails late": func(m *memfs.FS) { m.FailLateAt(operation+1, errors.New("injected")) },
			} {
				m, d := setUp()
				disturb(m)
				err := act(d)
				switch how {
				case "nothing kept":
					m.Restart(memfs.None())
				case "all kept":
					m.Restart(memfs.All())
				}
				tried++
				what := fmt.Sprintf("act %d, operation %d, %s", number, operation+1, how)
				list, listErr := d.List()
				if listErr != nil {
					t.Fatalf("%s: %v", what, listErr)
				}
				for _, artifact := range list {
					if err := d.Check(t.Context(), artifact.SHA256); err != nil {
						t.Fatalf("%s: what is listed: %v", what, err)
					}
				}
				if there := len(list) == 1; err == nil && number == 0 && !there || err == nil && number == 2 && there || number == 1 && !there {
					t.Fatalf("%s: %v, listed %v", what, err, list)
				}
				if err := act(d); err != nil {
					t.Fatalf("%s: again: %v", what, err)
				}
			}
		}
	}
	t.Logf("%d disturbed", tried)
}

// TestSpare holds that no artifact takes the room that an installation needs, that what has begun stops too, and that
// nothing of it is left.
func TestSpare(t *testing.T) {
	t.Parallel()
	const room = depot.SpareMin + 12<<20
	memory := memfs.New(memfs.Options{FreeBytes: room})
	d := depot.Open(memory, "/store")
	var space *vfs.SpaceError
	if _, err := d.Create(13 << 20); !errors.As(err, &space) || space.Need != 13<<20 || space.Kept != depot.SpareMin {
		t.Errorf("an artifact that takes it all: %v", err)
	}
	w, err := d.Create(0) // of a size that is not known beforehand
	if err != nil {
		t.Fatal(err)
	}
	written, block := 0, make([]byte, 1<<20)
	for err == nil && written < 64<<20 {
		var count int
		count, err = w.Write(block)
		written += count
	}
	if !errors.As(err, &space) || written > 16<<20 {
		t.Errorf("%d bytes were written: %v", written, err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	if _, err := d.Create(12<<20 - 1<<16); err != nil {
		t.Errorf("after it was thrown away: %v", err)
	}
	if _, err := d.Receive(0); !errors.As(err, &space) || space.Need != 0 || space.Kept != depot.ReceivedSpareMin {
		t.Errorf("what another end sends takes what is left for the operator: %v", err)
	}
}

// TestRoomUnderWay holds that what writers have begun counts for those that begin later, though nothing of it has come and also where the file
// system reserves nothing, and that those of which it is not said how large they become end when what is to be left free is reached.
func TestRoomUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, roomUnderWay) // where it is waited for room
}

func roomUnderWay(t *testing.T) {
	const room = 10 << 20
	memory := memfs.New(memfs.Options{FreeBytes: depot.ReceivedSpareMin + room})
	d := depot.Open(memory, "/store")
	var mu sync.Mutex
	var begun []*depot.Writer
	var writers sync.WaitGroup
	for range 32 {
		writers.Go(func() {
			w, err := d.Receive(room / 5)
			var space *vfs.SpaceError
			if err != nil && !errors.As(err, &space) {
				t.Error(err)
			}
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				begun = append(begun, w)
			}
		})
	}
	writers.Wait()
	if free := freeIn(t, memory); len(begun) == 0 || free < depot.ReceivedSpareMin {
		t.Fatalf("%d writers have begun, and %d bytes are free", len(begun), free)
	}
	if len(begun) != 3 { // what is under way counts twice: it may be seen late that it is used
		t.Errorf("%d writers of %d bytes have begun, with room for %d", len(begun), room/5, room)
	}
	own, err := d.Create(4 << 20)
	if err != nil {
		t.Errorf("the operator's own: %v", err)
	} else if err := own.Abort(); err != nil {
		t.Error(err)
	}
	first := begun[0]
	if _, err := first.Write(make([]byte, 1<<20)); err != nil {
		t.Error(err)
	}
	free := freeIn(t, memory)
	artifact, err := first.Commit(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if after := freeIn(t, memory); after < free+room/5-1<<20-1<<16 || artifact.Size != 1<<20 { // but for the lock and what the directory takes
		t.Errorf("%d bytes were free, and %d are after an artifact of %d", free, after, artifact.Size)
	}
	for _, w := range begun[1:] {
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Receive(room / 2); err != nil {
		t.Errorf("after they have ended: %v", err)
	}

	memory = memfs.New(memfs.Options{FreeBytes: depot.ReceivedSpareMin + room, NoAllocate: true})
	d = depot.Open(memory, "/store")
	begun = nil
	block := make([]byte, 256<<10)
	for range 4 {
		w, err := d.Receive(room / 4)
		if err != nil {
			t.Fatal(err)
		}
		begun = append(begun, w)
	}
	if w, err := d.Receive(1); err == nil {
		t.Errorf("what is under way does not count: %v", w.Abort())
	}
	for _, w := range begun {
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
	}
	for index := range begun { // how large they become is not said
		if begun[index], err = d.Receive(0); err != nil {
			t.Fatal(err)
		}
	}
	refused := 0
	for range room / 2 / len(block) {
		for _, w := range begun {
			if _, err := w.Write(block); errors.Is(err, vfs.ErrNoSpace) {
				refused++
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	if free := freeIn(t, memory); refused == 0 || free < depot.ReceivedSpareMin-int64(len(begun))<<20 {
		t.Errorf("%d times refused, and %d bytes are free", refused, free)
	}
	if w, err := d.Receive(0); err == nil { // before the first byte
		t.Errorf("what another end sends begins where nothing is left for it: %v", w.Abort())
	}
}

// TestDeadWriter holds that what a writer left that died neither stays nor counts, and that what only looks like it stays.
func TestDeadWriter(t *testing.T) {
	t.Parallel()
	d := depot.Open(vfs.OS(), filepath.Join(t.TempDir(), "store"))
	if _, err := put(d, []byte("an artifact"), ""); err != nil {
		t.Fatal(err)
	}
	dead, other := filepath.Join(d.Dir(), "sha256", ".incoming-77.tbctl-temp-0123456789abcdef"), filepath.Join(d.Dir(), "sha256", ".incoming-notes")
	for _, begin := range []func(int64) (*depot.Writer, error){d.Create, d.Receive} {
		for _, name := range []string{dead, other} {
			if err := os.WriteFile(name, []byte("half of it"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		w, err := begin(5)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(dead); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it stays: %v", err)
		}
		if _, err := os.Stat(other); err != nil {
			t.Error(err)
		}
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
	}
}

func freeIn(t *testing.T, memory *memfs.FS) int64 {
	t.Helper()
	dir, err := memory.OpenDir("/")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	volume, err := dir.Volume()
	if err != nil {
		t.Fatal(err)
	}
	return volume.FreeBytes
}

// TestReceived holds that what other ends send leaves names for the operator of the host.
func TestReceived(t *testing.T) {
	t.Parallel()
	memory := memfs.New(memfs.Options{})
	d := depot.Open(memory, "/store")
	first, err := put(d, []byte("the first"), "")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := memory.OpenDir("/store/sha256")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for number := range depot.ReceivedMax - 1 {
		if err := dir.Link(first.SHA256, fmt.Sprintf("%064x", number)); err != nil {
			t.Fatal(err)
		}
	}
	w, err := d.Receive(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("one more")); err != nil {
		t.Fatal(err)
	}
	var full *depot.FullError
	if _, err := w.Commit(t.Context(), ""); !errors.As(err, &full) || full.Most != depot.ReceivedMax || fault.Of(err) != fault.Refused {
		t.Errorf("%v", err)
	}
	if _, err := put(d, []byte("one more"), ""); err != nil {
		t.Errorf("the operator's own: %v", err)
	}
}

// TestReadFaults fails at every operation of the depot, also those that change nothing: an error is never told as an artifact that is
// not there, as no artifacts, or as done.
func TestReadFaults(t *testing.T) {
	t.Parallel()
	data, digest := []byte("an artifact"), digestOf([]byte("an artifact"))
	injected := errors.New("injected")
	for name, act := range map[string]func(d *depot.Depot) error{
		"list":  func(d *depot.Depot) error { list, err := d.List(); return errors.Join(err, missing(len(list) == 1)) },
		"check": func(d *depot.Depot) error { return d.Check(context.Background(), digest) },
		"stat":  func(d *depot.Depot) error { _, err := d.Stat(digest); return err },
		"note": func(d *depot.Depot) error {
			return d.AddReceipts(context.Background(), digest, depot.Receipt{Kind: "sums"})
		},
		"read": func(d *depot.Depot) error {
			got, err := get(d, digest)
			return errors.Join(err, missing(bytes.Equal(got, data)))
		},
		"again": func(d *depot.Depot) error { _, err := put(d, data, digest); return err },
		"remove": func(d *depot.Depot) error {
			_, err := d.Remove(context.Background(), digest, func() (bool, error) { return false, nil })
			return err
		},
	} {
		setUp := func() (*memfs.FS, *depot.Depot) {
			m := memfs.New(memfs.Options{CountReads: true})
			d := depot.Open(m, place)
			if _, err := put(d, data, digest); err != nil {
				t.Fatal(err)
			}
			m.CrashAt(0)
			return m, d
		}
		m, d := setUp()
		if err := act(d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for operation := range m.Count() {
			m, d := setUp()
			m.FailAt(operation+1, injected)
			if err := act(d); err != nil && !errors.Is(err, injected) {
				t.Errorf("%s, operation %d: %v", name, operation+1, err)
			}
		}
	}
}

// A check that is interrupted says so: it finds nothing wrong, and nothing right.
func TestCheckIsInterrupted(t *testing.T) {
	t.Parallel()
	d := depot.Open(vfs.OS(), t.TempDir())
	artifact, err := put(d, []byte("an artifact"), "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Check(ctx, artifact.SHA256); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
}

// missing is an error that no operation has.
func missing(there bool) error {
	if there {
		return nil
	}
	return errors.New("it is told as not there")
}

// TestDangling: a store that is a link whose end is not there, as where a file system is not mounted, is not an empty one.
func TestDangling(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := depot.Open(vfs.OS(), dir)
	if artifacts, err := d.List(); err != nil || len(artifacts) != 0 {
		t.Fatalf("nothing there: %v, %v", artifacts, err)
	}
	if err := os.Symlink(filepath.Join(dir, "not-mounted"), filepath.Join(dir, "sha256")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.List(); !errors.Is(err, vfs.ErrDangling) {
		t.Errorf("list: %v", err)
	}
	if _, err := d.SetAside(); !errors.Is(err, vfs.ErrDangling) {
		t.Errorf("set aside: %v", err)
	}
}

// TestGivesWay holds that one who announces a large artifact and sends it slowly gives way to one who needs less room, that this one says who
// has reserved what it needs, and that one that is quick, or needs less, does not give way.
func TestGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const room = 64 << 20
		d := depot.Open(memfs.New(memfs.Options{FreeBytes: depot.ReceivedSpareMin + room}), "/store")
		receive := func(size int64) *depot.Writer {
			w, err := d.Receive(size)
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		abort := func(w *depot.Writer) {
			if err := w.Abort(); err != nil {
				t.Error(err)
			}
		}
		slow := receive(40 << 20)
		began := time.Now()
		var reserved *depot.ReservedError
		if _, err := d.Receive(20 << 20); !errors.As(err, &reserved) || fault.Of(err) != fault.Busy || !strings.Contains(err.Error(), fmt.Sprintf("process %d (40 MiB)", os.Getpid())) {
			t.Errorf("while another has reserved it: %v", err)
		}
		if waited := time.Since(began); waited < 10*time.Second || waited > time.Minute {
			t.Errorf("it was waited for %v", waited)
		}
		if all, err := d.Incoming(); err != nil || len(all) != 1 || all[0] != (depot.Incoming{Size: 40 << 20, PID: os.Getpid()}) {
			t.Errorf("%+v, %v", all, err)
		}
		var space *vfs.SpaceError
		if _, err := d.Receive(room + 1); !errors.As(err, &space) || errors.As(err, &reserved) {
			t.Errorf("what has never room: %v", err)
		}
		if _, err := slow.Write([]byte("x")); err != nil {
			t.Errorf("while no other waits: %v", err)
		}
		got := make(chan *depot.Writer)
		go func() { got <- receive(20 << 20) }()
		time.Sleep(2 * time.Second)
		if _, err := slow.Write([]byte("x")); !errors.Is(err, depot.ErrGaveWay) || fault.Of(err) != fault.Busy {
			t.Errorf("a slow one: %v", err)
		}
		abort(slow)
		next := <-got
		failed := make(chan error)
		go func() { _, err := d.Receive(50 << 20); failed <- err }()
		time.Sleep(12 * time.Second)
		if _, err := next.Write([]byte("x")); err != nil {
			t.Errorf("one that needs more waits: %v", err)
		}
		if err := <-failed; !errors.As(err, &reserved) {
			t.Error(err)
		}
		abort(next)
		quick := receive(40 << 20)
		go func() { _, err := d.Receive(20 << 20); failed <- err }()
		for range 12 {
			time.Sleep(time.Second)
			if _, err := quick.Write(make([]byte, 1<<20)); err != nil {
				t.Errorf("a quick one: %v", err)
			}
		}
		if err := <-failed; !errors.As(err, &reserved) {
			t.Error(err)
		}
		abort(quick)
	})
}
