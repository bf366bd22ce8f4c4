package objcopy_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tbctl/tbctl/internal/objcopy"
	"github.com/tbctl/tbctl/multiversion"
)

func addFixture(t testing.TB, name string, body objcopy.Content) *objcopy.Image {
	t.Helper()
	data := fixtures(t)[name]
	image, err := objcopy.Add(bytes.NewReader(data), int64(len(data)), body, section(testHeader))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// TestReadAt reads every stretch of an image of many pieces in every size.
func TestReadAt(t *testing.T) {
	t.Parallel()
	image := addFixture(t, "lld-debug-x86_64.exe", section([]byte("body")))
	want := bytesOf(t, image)
	if err := iotest.TestReader(io.NewSectionReader(image, 0, image.Size()), want); err != nil {
		t.Error(err)
	}
	for _, size := range []int{1, 3, 511, 512, 513, len(want)} {
		for offset := 0; offset < len(want); offset += 61 {
			buffer := make([]byte, size)
			n, err := image.ReadAt(buffer, int64(offset))
			expect := want[offset:min(len(want), offset+size)]
			if n != len(expect) || !bytes.Equal(buffer[:n], expect) {
				t.Fatalf("%d bytes at %d: %d bytes, not those written", size, offset, n)
			}
			if short := n < size; short != (err == io.EOF) || !short && err != nil {
				t.Fatalf("%d bytes at %d: %d bytes and error %v", size, offset, n, err)
			}
		}
	}
	if n, err := image.ReadAt(make([]byte, 1), image.Size()); n != 0 || err != io.EOF {
		t.Errorf("read at the end: %d, %v", n, err)
	}
	if n, err := image.ReadAt(make([]byte, 1), -1); n != 0 || err == nil {
		t.Errorf("read at -1: %d, %v", n, err)
	}
}

// TestShortContent requires that a content that is shorter than it says is an error.
func TestShortContent(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"lld-debug-x86_64.exe", "lld-static-x86_64.elf"} {
		image := addFixture(t, name, objcopy.Content{R: strings.NewReader("short"), Size: 6})
		if _, err := image.WriteTo(io.Discard); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: WriteTo: %v, want %v", name, err, io.ErrUnexpectedEOF)
		}
		n, err := image.ReadAt(make([]byte, 6), located(t, addFixture(t, name, section([]byte("shorts")))).Body.Offset)
		if n != 5 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: ReadAt: %d, %v", name, n, err)
		}
	}
}

// TestShortFile requires the reader's error, not a refusal, when the file shrinks.
func TestShortFile(t *testing.T) {
	t.Parallel()
	for name, data := range fixtures(t) {
		for _, size := range []int{3, 63, 200, len(data) / 2} {
			_, err := objcopy.Normalize(bytes.NewReader(data[:size]), int64(len(data)))
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: cut to %d bytes: %v", name, size, err)
			}
		}
		broken := errors.New("broken disk")
		_, err := objcopy.Normalize(brokenReader{broken}, int64(len(data)))
		if !errors.Is(err, broken) || errors.Is(err, objcopy.ErrLayout) {
			t.Errorf("%s: broken disk: %v", name, err)
		}
	}
}

type brokenReader struct{ err error }

func (r brokenReader) ReadAt([]byte, int64) (int, error) { return 0, r.err }

func TestWriteToError(t *testing.T) {
	t.Parallel()
	image := addFixture(t, "lld-static-x86_64.elf", section(testBody))
	full := errors.New("disk full")
	n, err := image.WriteTo(failingWriter{full})
	if n != 7 || !errors.Is(err, full) {
		t.Errorf("WriteTo: %d, %v", n, err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 7, w.err }

// TestOtherHeader requires that another header of the same size changes nothing else: a build
// takes the checksum with a header of zeros.
func TestOtherHeader(t *testing.T) {
	t.Parallel()
	for name, data := range fixtures(t) {
		image := addFixture(t, name, section(testBody))
		other, err := objcopy.Add(bytes.NewReader(data), int64(len(data)), section(testBody), section(nextHeader))
		if err != nil {
			t.Fatal(err)
		}
		want := bytesOf(t, image)
		copy(want[located(t, image).Header.Offset:], nextHeader)
		if !bytes.Equal(bytesOf(t, other), want) {
			t.Errorf("%s: more changed than the header", name)
		}
	}
}

// located finds the sections that were added.
func located(t testing.TB, image *objcopy.Image) multiversion.ImageLayout {
	t.Helper()
	layout, err := multiversion.Locate(image, image.Size())
	if err != nil {
		t.Fatal(err)
	}
	return layout.Images[0]
}

// TestContentsRefused requires an error that is no LayoutError for contents that cannot be.
func TestContentsRefused(t *testing.T) {
	t.Parallel()
	data := fixtures(t)["lld-static-x86_64.elf"]
	for _, body := range []objcopy.Content{{}, {R: bytes.NewReader(nil), Size: -1}, {R: bytes.NewReader(nil), Size: objcopy.SizeMax + 1}} {
		_, err := objcopy.Add(bytes.NewReader(data), int64(len(data)), body, section(testHeader))
		if err == nil || errors.Is(err, objcopy.ErrLayout) {
			t.Errorf("%+v: %v", body, err)
		}
	}
	if _, err := objcopy.Add(bytes.NewReader(data), int64(len(data)), section(nil), section(testHeader)); err != nil {
		t.Errorf("an empty body: %v", err)
	}
}

// repeated is a file of any size with nothing in memory.
type repeated byte

func (r repeated) ReadAt(buffer []byte, _ int64) (int, error) {
	for i := range buffer {
		buffer[i] = byte(r)
	}
	return len(buffer), nil
}

// TestMemory adds a body of 200 MiB and writes the result with little memory.
func TestMemory(t *testing.T) {
	data := fixtures(t)["lld-static-x86_64.elf"]
	const size = 200 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	image, err := objcopy.Add(bytes.NewReader(data), int64(len(data)), objcopy.Content{R: repeated(7), Size: size}, section(testHeader))
	if err != nil {
		t.Fatal(err)
	}
	n, err := image.WriteTo(io.Discard)
	if err != nil || n < size {
		t.Fatalf("%d bytes written: %v", n, err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("%d bytes allocated", used)
	}
}
