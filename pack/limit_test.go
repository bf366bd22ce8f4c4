package pack_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
)

// longer is a source with zeros behind its end.
type longer struct {
	pack.Source
	size int64
}

func (l longer) Size() int64 { return l.size }

func (l longer) ReadAt(buffer []byte, offset int64) (int, error) {
	count := 0
	if offset < l.Source.Size() {
		count, _ = l.Source.ReadAt(buffer, offset)
	}
	end := int(max(0, min(int64(len(buffer)), l.size-offset)))
	clear(buffer[count:end])
	if end < len(buffer) {
		return end, io.EOF
	}
	return end, nil
}

func buildOfSize(t *testing.T, add int64, debug bool) (*pack.Result, error) {
	t.Helper()
	options := plainOptions(t, multiversion.PlatformX86_64Linux, "0.16.1")
	options.Debug = debug
	epoch := options.Plain[0].Executables
	epoch[0] = longer{epoch[0], epoch[0].Size() + add}
	return pack.Build(context.Background(), options)
}

// TestSizeLimit finds the limit to the byte, and memory that does not grow
// with the size. It runs alone, for the sake of the memory.
func TestSizeLimit(t *testing.T) {
	small, err := buildOfSize(t, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, debug := range []bool{false, true} {
		limit := multiversion.SizeLimit(multiversion.FormatELF, debug)
		room := limit - small.Size()
		if _, err := buildOfSize(t, room, debug); !errors.Is(err, pack.ReasonSize) {
			t.Errorf("%d bytes: %v, want %s", limit, err, pack.ReasonSize)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		result, err := buildOfSize(t, room-8, debug)
		if err != nil {
			t.Fatal(err)
		}
		if count, err := result.WriteTo(io.Discard); err != nil || count != limit-8 {
			t.Errorf("wrote %d bytes, want %d: %v", count, limit-8, err)
		}
		runtime.ReadMemStats(&after)
		executable := int64(len(testbin.Executable(t, "linux", "amd64", 1, 0)))
		const allowed = 4 << 20 // buffers and tables; the fixture itself is counted twice
		if used := int64(after.TotalAlloc - before.TotalAlloc); used > allowed+2*executable {
			t.Errorf("%d bytes of memory for a file of %d", used, limit)
		}
	}
}
