package datafile_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/internal/standin/zone"
	"github.com/tbctl/tbctl/multiversion"
)

func vector(t testing.TB, name string) []byte {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func release(t testing.TB, text string) multiversion.Release {
	t.Helper()
	r, err := multiversion.ParseRelease(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReadRealFiles(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, format, release string
		version               uint16
		sequence, op, commit  uint64
		view                  uint32
	}{
		{"0.15.5-formatted.bin.gz", "0.15.5", "0.15.5", 1, 1, 0, 0, 0},
		{"0.17.8-upgraded-from-0.17.7.bin.gz", "0.17.7", "0.17.8", 2, 4, 959, 991, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			data := vector(t, test.name)
			got, err := datafile.Read(t.Context(), bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if got.Version != test.version || got.Sequence != test.sequence || got.CheckpointOp != test.op ||
				got.CommitMax != test.commit || got.View != test.view || got.LogView != test.view {
				t.Errorf("got %+v", got)
			}
			if got.Release != release(t, test.release) || got.ReleaseFormat != release(t, test.format) {
				t.Errorf("release %s, formatted by %s", got.Release, got.ReleaseFormat)
			}
			if got.Cluster != datafile.NewID(7) || got.ReplicaIndex != 0 || got.ReplicaCount != 1 || got.Standby {
				t.Errorf("cluster %s, replica %d of %d, standby %t", got.Cluster, got.ReplicaIndex, got.ReplicaCount, got.Standby)
			}
			for index, state := range got.Copies {
				if !state.Valid || !state.Agrees || state.Sequence != test.sequence || int(state.Copy) != index || state.Problem != "" {
					t.Errorf("copy %d: %+v", index, state)
				}
			}
			if !datafile.Looks(data) || !datafile.Looks(data[:datafile.HeaderSize]) || datafile.Looks(data[:datafile.HeaderSize-1]) {
				t.Error("Looks: want true for the zone and the first header, false for less")
			}
		})
	}
}

// fixture is a data file in memory whose copies come from different superblocks.
type fixture struct {
	superblock datafile.Superblock
}

func newFixture(t testing.TB) fixture {
	return fixture{datafile.Superblock{
		Version: 2, Sequence: 7, Cluster: datafile.NewID(9), ReplicaID: datafile.NewID(77), ReplicaIndex: 2, ReplicaCount: 3,
		ReleaseFormat: release(t, "0.16.1"), Release: release(t, "0.17.2"), CheckpointOp: 959, CommitMax: 1000, View: 5, LogView: 4,
	}}
}

func (f fixture) encode(t testing.TB) []byte {
	t.Helper()
	raw, err := zone.Encode(&f.superblock)
	if err != nil {
		t.Fatal(err)
	}
	return raw[:]
}

// next returns the zone of the superblock that follows.
func (f fixture) next(t testing.TB, steps uint64) []byte {
	t.Helper()
	zone := f.encode(t)
	f.superblock.Parent = multiversion.Checksum(zone[:16])
	f.superblock.Sequence += steps
	f.superblock.CommitMax += steps
	return f.encode(t)
}

func setCopy(data, from []byte, place int) {
	start := place * datafile.CopyStride
	copy(data[start:start+datafile.CopyStride], from[start:])
}

func damage(data []byte, places ...int) {
	for _, place := range places {
		data[place*datafile.CopyStride+5000] ^= 1
	}
}

func reseal(data []byte) {
	for place := range datafile.CopiesCount {
		header := data[place*datafile.CopyStride:][:datafile.HeaderSize]
		sum := multiversion.ChecksumOf(header[34:])
		copy(header, sum[:])
	}
}

func TestReadCopies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		change   func(t *testing.T, f fixture, data []byte) []byte
		reason   error
		sequence uint64
		problem  [4]string // a part of the copy's problem
	}{
		{"whole", func(t *testing.T, f fixture, data []byte) []byte { return data }, nil, 7, [4]string{}},
		{"one damaged", func(t *testing.T, f fixture, data []byte) []byte { damage(data, 0); return data }, nil, 7, [4]string{"checksum is"}},
		{"two damaged", func(t *testing.T, f fixture, data []byte) []byte { damage(data, 0, 2); return data }, nil, 7, [4]string{"checksum is", "", "checksum is"}},
		{"three damaged", func(t *testing.T, f fixture, data []byte) []byte { damage(data, 0, 1, 2); return data }, datafile.ErrNoQuorum, 0, [4]string{}},
		{"all damaged", func(t *testing.T, f fixture, data []byte) []byte { damage(data, 0, 1, 2, 3); return data }, datafile.ErrNoCopy, 0, [4]string{}},
		{"empty", func(t *testing.T, f fixture, data []byte) []byte { return nil }, datafile.ErrNoCopy, 0, [4]string{}},
		{"zeros", func(t *testing.T, f fixture, data []byte) []byte { return make([]byte, len(data)) }, datafile.ErrNoCopy, 0, [4]string{}},
		{"cut after two", func(t *testing.T, f fixture, data []byte) []byte { return data[:2*datafile.CopyStride] }, nil, 7,
			[4]string{"", "", "past the end", "past the end"}},
		{"cut inside the second", func(t *testing.T, f fixture, data []byte) []byte { return data[:datafile.CopyStride+100] }, datafile.ErrNoQuorum, 0, [4]string{}},
		{"first of the next written", func(t *testing.T, f fixture, data []byte) []byte { setCopy(data, f.next(t, 1), 0); return data }, nil, 7, [4]string{}},
		{"two of the next written", func(t *testing.T, f fixture, data []byte) []byte {
			setCopy(data, f.next(t, 1), 0)
			setCopy(data, f.next(t, 1), 1)
			return data
		}, nil, 8, [4]string{}},
		{"first written, second torn", func(t *testing.T, f fixture, data []byte) []byte {
			setCopy(data, f.next(t, 1), 0)
			damage(data, 1)
			return data
		}, nil, 7, [4]string{"", "checksum is"}},
		{"ahead by two", func(t *testing.T, f fixture, data []byte) []byte { setCopy(data, f.next(t, 2), 3); return data }, datafile.ErrSkipped, 0, [4]string{}},
		{"behind by two", func(t *testing.T, f fixture, data []byte) []byte {
			next := f.next(t, 2)
			setCopy(next, data, 3)
			return next
		}, nil, 9, [4]string{}},
		{"fork", func(t *testing.T, f fixture, data []byte) []byte {
			f.superblock.View++
			setCopy(data, f.encode(t), 1)
			return data
		}, datafile.ErrFork, 0, [4]string{}},
		{"disconnected", func(t *testing.T, f fixture, data []byte) []byte {
			f.superblock.Sequence--
			setCopy(data, f.encode(t), 1)
			return data
		}, datafile.ErrDisconnected, 0, [4]string{}},
		{"a copy of another replica", func(t *testing.T, f fixture, data []byte) []byte {
			f.superblock.ReplicaID = datafile.NewID(5)
			setCopy(data, f.encode(t), 1)
			return data
		}, nil, 7, [4]string{}},
		{"wrong copy number", func(t *testing.T, f fixture, data []byte) []byte {
			binary.LittleEndian.PutUint16(data[datafile.CopyStride+32:], 3)
			return data
		}, nil, 7, [4]string{"", "calls itself copy 3"}},
		{"one copy twice", func(t *testing.T, f fixture, data []byte) []byte {
			binary.LittleEndian.PutUint16(data[datafile.CopyStride+32:], 0)
			damage(data, 2, 3)
			return data
		}, datafile.ErrNoQuorum, 0, [4]string{}},
		{"copy number out of range", func(t *testing.T, f fixture, data []byte) []byte {
			binary.LittleEndian.PutUint16(data[datafile.CopyStride+32:], 900)
			damage(data, 2, 3)
			return data
		}, nil, 7, [4]string{"", "calls itself copy 900", "checksum is", "checksum is"}},
		{"checksum padding", func(t *testing.T, f fixture, data []byte) []byte { data[20] = 1; return data }, nil, 7, [4]string{"padding"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			data := test.change(t, f, f.encode(t))
			got, err := datafile.ReadOnce(bytes.NewReader(data))
			if test.reason != nil {
				failure, ok := errors.AsType[*datafile.QuorumError](err)
				if !ok || !errors.Is(err, test.reason) || failure.Reason != test.reason {
					t.Fatalf("error %v, want %v", err, test.reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Sequence != test.sequence {
				t.Errorf("sequence %d, want %d", got.Sequence, test.sequence)
			}
			for place, want := range test.problem {
				if state := got.Copies[place]; !strings.Contains(state.Problem, want) || (want == "") != (state.Problem == "") {
					t.Errorf("copy %d: problem %q, want %q", place, state.Problem, want)
				}
			}
		})
	}
}

func TestReadVersions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, version := range []uint16{0, 3, 65535} {
		data := f.encode(t)
		for place := range datafile.CopiesCount {
			binary.LittleEndian.PutUint16(data[place*datafile.CopyStride+34:], version)
		}
		reseal(data)
		got, err := datafile.ReadOnce(bytes.NewReader(data))
		failure, ok := errors.AsType[*datafile.VersionError](err)
		if !ok || failure.Version != version || errors.Is(err, datafile.ErrDevelopment) != (version == 0) {
			t.Errorf("version %d: error %v", version, err)
		}
		if got.Version != version || got.Cluster != f.superblock.Cluster || got.Release != 0 || !got.Copies[3].Valid {
			t.Errorf("version %d: got %+v", version, got)
		}
	}
	f.superblock.Release = 0
	if _, err := datafile.ReadOnce(bytes.NewReader(f.encode(t))); !errors.Is(err, datafile.ErrNoRelease) {
		t.Errorf("release 0: error %v, want ErrNoRelease", err)
	}
}

func TestEncodeRoundTrip(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{1, 2} {
		want := newFixture(t).superblock
		want.Version = version
		raw, err := zone.Encode(&want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := datafile.ReadOnce(bytes.NewReader(raw[:]))
		if err != nil {
			t.Fatal(err)
		}
		want.Checksum, want.ClusterHex, want.Copies = got.Checksum, "00000000000000000000000000000009", got.Copies
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	wrong := datafile.Superblock{Version: 3}
	if _, err := zone.Encode(&wrong); err == nil {
		t.Error("version 3 was encoded")
	}
	wrong = datafile.Superblock{Version: 2, ReplicaIndex: 12}
	if _, err := zone.Encode(&wrong); err == nil {
		t.Error("replica index 12 was encoded")
	}
}

// swapped serves one content for the first few reads and then another.
type swapped struct {
	mu            sync.Mutex
	first, second []byte
	reads, after  int
}

func (s *swapped) ReadAt(buffer []byte, offset int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	data := s.first
	if s.reads > s.after {
		data = s.second
	}
	return bytes.NewReader(data).ReadAt(buffer, offset)
}

func TestReadTorn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	torn := f.encode(t)
	damage(torn, 0, 1, 2)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r := &swapped{first: torn, second: f.encode(t), after: 8}
		got, err := datafile.Read(t.Context(), r)
		if err != nil || got.Sequence != 7 {
			t.Fatalf("got %+v, %v", got, err)
		}
		if took := time.Since(start); took != 40*time.Millisecond {
			t.Errorf("two pauses took %s", took)
		}

		r = &swapped{first: torn, after: 1 << 30}
		if _, err := datafile.Read(t.Context(), r); !errors.Is(err, datafile.ErrNoQuorum) || r.reads != 20 {
			t.Errorf("%d reads, error %v", r.reads, err)
		}
		r = &swapped{first: nil, after: 1 << 30}
		if _, err := datafile.Read(t.Context(), r); !errors.Is(err, datafile.ErrNoCopy) || r.reads != 4 {
			t.Errorf("no copy at all: %d reads, error %v", r.reads, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		r = &swapped{first: torn, after: 1 << 30}
		_, err = datafile.Read(ctx, r)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, datafile.ErrNoQuorum) {
			t.Errorf("deadline: error %v", err)
		}
	})
}

type brokenReader struct{ err error }

func (b brokenReader) ReadAt([]byte, int64) (int, error) { return 0, b.err }

// badSector fails for the first copy.
type badSector struct{ *bytes.Reader }

func (b badSector) ReadAt(buffer []byte, offset int64) (int, error) {
	if offset < datafile.CopyStride {
		return 0, &fs.PathError{Op: "read", Path: "x", Err: syscall.EIO}
	}
	return b.Reader.ReadAt(buffer, offset)
}

// A sector that cannot be read costs one copy, as it does a replica.
func TestReadBadSector(t *testing.T) {
	t.Parallel()
	got, err := datafile.ReadOnce(badSector{bytes.NewReader(newFixture(t).encode(t))})
	if err != nil || got.Sequence != 7 || got.Copies[0].Valid || got.Copies[0].Problem == "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestReadError(t *testing.T) {
	t.Parallel()
	want := errors.New("unplugged")
	if _, err := datafile.Read(t.Context(), brokenReader{want}); !errors.Is(err, want) {
		t.Errorf("error %v, want the reader's", err)
	}
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "0_0.tigerbeetle")
	if err := os.WriteFile(name, newFixture(t).encode(t), 0o400); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(name)
	got, err := datafile.ReadFile(t.Context(), name)
	if err != nil || got.ReplicaIndex != 2 {
		t.Fatalf("got %+v, %v", got, err)
	}
	after, _ := os.Stat(name)
	if before.ModTime() != after.ModTime() || before.Size() != after.Size() {
		t.Error("reading changed the file")
	}
	if _, err := datafile.ReadFile(t.Context(), filepath.Dir(name)); !errors.Is(err, datafile.ErrFileKind) {
		t.Errorf("directory: error %v, want ErrFileKind", err)
	}
	if _, err := datafile.ReadFile(t.Context(), name+"x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: error %v, want ErrNotExist", err)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	got, err := datafile.ReadOnce(bytes.NewReader(vector(t, "0.17.8-upgraded-from-0.17.7.bin.gz")))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"cluster":"7"`, `"cluster_hex":"00000000000000000000000000000007"`, `"release":"0.17.8"`,
		`"release_format":"0.17.7"`, `"checkpoint_op":959`, `"copies":[{"valid":true,"agrees":true,"sequence":4`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("JSON lacks %s: %s", want, text)
		}
	}
	largest := datafile.ID(bytes.Repeat([]byte{0xff}, 16))
	if got := largest.String(); got != "340282366920938463463374607431768211455" {
		t.Errorf("2^128-1 is %s", got)
	}
	var back datafile.Superblock
	if err := json.Unmarshal(text, &back); err != nil || back != got {
		t.Errorf("there and back: %+v, %v", back, err)
	}
	for _, wrong := range []string{"", "-1", "+1", " 1", "0x1", "1_0", "340282366920938463463374607431768211456"} {
		if id := datafile.NewID(5); !errors.Is(id.UnmarshalText([]byte(wrong)), datafile.ErrID) || id != datafile.NewID(5) {
			t.Errorf("%q was taken for %s", wrong, id)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"0.15.5-formatted.bin.gz", "0.17.8-upgraded-from-0.17.7.bin.gz"} {
		data := vector(f, name)
		f.Add(data[:datafile.HeaderSize], uint8(0), uint16(0), uint8(0))
		f.Add(data[:datafile.HeaderSize], uint8(1), uint16(34), uint8(3))
	}
	f.Fuzz(func(t *testing.T, raw []byte, place uint8, offset uint16, value uint8) {
		header := make([]byte, datafile.HeaderSize)
		copy(header, raw)
		sum := multiversion.ChecksumOf(header[34:])
		copy(header, sum[:])
		copy(header[16:32], make([]byte, 16))
		data := make([]byte, datafile.ZoneSize)
		for place := range datafile.CopiesCount {
			copy(data[place*datafile.CopyStride:], header)
			data[place*datafile.CopyStride+32], data[place*datafile.CopyStride+33] = byte(place), 0
		}
		data[int(place%4)*datafile.CopyStride+int(offset)%datafile.HeaderSize] = value // one copy may be damaged
		got, err := datafile.ReadOnce(bytes.NewReader(data))
		_, version := errors.AsType[*datafile.VersionError](err)
		if err != nil && !version && !errors.Is(err, datafile.ErrNoRelease) {
			t.Fatalf("three good copies: %v", err)
		}
		if err == nil && (got.Release == 0 || got.Version < 1 || got.Version > 2) {
			t.Fatalf("accepted %+v", got)
		}
		datafile.Looks(raw)
		datafile.ReadOnce(bytes.NewReader(raw))
	})
}

// That no copy is valid is said of one of them.
func TestNoCopySaidOnce(t *testing.T) {
	t.Parallel()
	err := &datafile.QuorumError{Reason: datafile.ErrNoCopy}
	for index := range err.Copies {
		err.Copies[index].Problem = "it is torn"
	}
	if got, want := err.Error(), "no valid copy of a superblock: the first of 4: it is torn"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
