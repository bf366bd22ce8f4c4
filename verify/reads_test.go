package verify_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
)

// meter counts what is read of a file, and can cancel or fail.
type meter struct {
	data   []byte
	read   atomic.Int64
	onRead func(offset int64) error
}

func (m *meter) ReadAt(buffer []byte, offset int64) (int, error) {
	m.read.Add(int64(len(buffer)))
	if m.onRead != nil {
		if err := m.onRead(offset); err != nil {
			return 0, err
		}
	}
	return bytes.NewReader(m.data).ReadAt(buffer, offset)
}

func TestFileErrors(t *testing.T) {
	t.Parallel()
	data := testbin.Build(t, testbin.Spec{Platform: multiversion.PlatformUniversalMacOS, Size: 16 << 20})
	size := int64(len(data))
	broken := errors.New("the disk is broken")
	for _, from := range []int64{0, 300_000, size / 2, size - 9000} {
		file := &meter{data: data, onRead: func(offset int64) error {
			if offset >= from {
				return broken
			}
			return nil
		}}
		if report, err := verify.File(t.Context(), file, size, verify.Options{}); !errors.Is(err, broken) || report.Ok || report.Findings != nil {
			t.Errorf("from %d: %v", from, err)
		}
	}
	if _, err := verify.File(t.Context(), bytes.NewReader(data[:size-1]), size, verify.Options{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that shrank: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	file := &meter{data: data, onRead: func(offset int64) error {
		if offset == 512<<10 {
			cancel()
		}
		return nil
	}}
	if _, err := verify.File(ctx, file, size, verify.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := verify.File(ctx, strings.NewReader("text"), 4, verify.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
}

// A file whose header is another one when it is looked at again is not judged: it changed,
// whatever rule it breaks now. A disk that fails is the reader's error then, too.
func TestFileChanged(t *testing.T) {
	t.Parallel()
	good := testbin.Build(t, testbin.Spec{Platform: multiversion.PlatformUniversalMacOS, Size: 12 << 20})
	size := int64(len(good))
	broken := errors.New("the disk is broken")
	// A file for one architecture that is just as large and has the header of the first of two.
	other := append(testbin.Build(t, testbin.Spec{Past: testbin.PastOf("0.17.3", "0.17.4", "0.17.5", "0.17.6", "0.17.7")}), make([]byte, size)...)[:size]
	copy(other[testbin.Load(t, other).Images[0].Layout.Header.Offset:], good[testbin.Load(t, good).Images[0].Layout.Header.Offset:][:multiversion.HeaderSize])
	tests := []struct {
		name    string
		again   []byte // what is there after the pass
		fails   error
		changed bool
	}{
		{"another header", testbin.Mutate(t, good, func(header []byte) { header[testbin.OffsetReserved] = 1 }), nil, true},
		{"a header that breaks a rule", testbin.Mutate(t, good, func(header []byte) { header[testbin.OffsetCurrentFlags] = 0 }), nil, true},
		{"another format with the first header", other, nil, true},
		{"something else", make([]byte, size), nil, true},
		{"cut short", good[:100], nil, false},
		{"cannot be read", good, broken, false},
	}
	for _, test := range tests {
		swap := &swapped{first: good, again: test.again, fails: test.fails}
		report, err := verify.File(t.Context(), swap, size, verify.Options{})
		if errors.Is(err, verify.ErrChanged) != test.changed || err == nil || report.Findings != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if _, ok := errors.AsType[*multiversion.FormatError](err); ok == test.changed {
			t.Errorf("%s: %v: a rule that the file judged did not break", test.name, err)
		}
		if test.fails != nil && (!errors.Is(err, test.fails) || strings.Contains(err.Error(), "changed")) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// swapped is a file that is another one as soon as its magic number is looked at again.
type swapped struct {
	first, again []byte
	fails        error
	magics       atomic.Int32 // how often it was looked at
}

func (s *swapped) ReadAt(buffer []byte, offset int64) (int, error) {
	if offset == 0 && len(buffer) == 4 {
		s.magics.Add(1)
	}
	if s.magics.Load() < 2 {
		return bytes.NewReader(s.first).ReadAt(buffer, offset)
	}
	if s.fails != nil {
		return 0, s.fails
	}
	return bytes.NewReader(s.again).ReadAt(buffer, offset)
}

// The file is read once, and the current executable of an ELF or PE file once more.
func TestFileReadsOnce(t *testing.T) {
	t.Parallel()
	for _, platform := range platforms() {
		file := &meter{data: testbin.Build(t, testbin.Spec{Platform: platform})}
		size := int64(len(file.data))
		if _, err := verify.File(t.Context(), file, size, verify.Options{SHA256: true}); err != nil {
			t.Fatal(err)
		}
		most := size + 128<<10
		if platform != multiversion.PlatformUniversalMacOS {
			body := testbin.Body(t, file.data)
			most += size - body.Size
		}
		if read := file.read.Load(); read < size || read > most {
			t.Errorf("%s: %d of %d bytes read, want at most %d", platform, read, size, most)
		}
	}
}

// Not parallel: other tests would count.
func TestFileMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a file of 48 MiB")
	}
	data := testbin.Build(t, testbin.Spec{Size: 48 << 20, Compressible: true})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	report := judge(t, data, verify.Options{SHA256: true})
	runtime.ReadMemStats(&after)
	if !report.Ok {
		t.Fatal(report.Diagnosis)
	}
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 8<<20 {
		t.Errorf("%d bytes taken", taken)
	}
}
