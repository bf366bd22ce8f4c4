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
	data := testbin.Build(t, testbin.Spec{Platform: multiversion.PlatformUniversalMacOS})
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
