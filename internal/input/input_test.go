package input_test

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
)

// TestOpenExecutable: the same bytes come out of a file, an archive and a stream.
func TestOpenExecutable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	binary := testbin.Build(t, testbin.Spec{})
	plain, packed := filepath.Join(dir, "tigerbeetle"), filepath.Join(dir, "tigerbeetle.zip")
	zip := testbin.Zip(t, "tigerbeetle", binary, testbin.ZipOptions{})
	testbin.WriteFile(t, plain, binary)
	testbin.WriteFile(t, packed, zip)
	for _, test := range []struct {
		name     string
		stream   io.Reader
		archived bool
	}{{plain, nil, false}, {packed, nil, true}, {"-", bytes.NewReader(binary), false}, {"-", bytes.NewReader(zip), true}} {
		file, err := input.OpenExecutable(t.Context(), test.name, test.stream)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(file, 0, file.Size()))
		if err != nil || !bytes.Equal(got, binary) || (file.Archive != nil) != test.archived || (file.Outer != nil) != test.archived {
			t.Errorf("%s: %d bytes, %v, %+v", test.name, len(got), err, file.Archive)
		}
		if test.archived && (file.Archive.Entry != "tigerbeetle" || file.Archive.Size != int64(len(zip)) || file.Outer.ExecutableSize() != int64(len(binary))) {
			t.Errorf("%s: %+v", test.name, file.Archive)
		}
		if (file.Mode == nil) != (test.name == "-" && !test.archived) && !test.archived {
			t.Errorf("%s: mode %v", test.name, file.Mode)
		}
		if err := file.Close(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// endless is a stream without an end.
type endless struct{}

func (endless) Read(data []byte) (int, error) { return len(data), nil }

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	if _, err := input.Open(t.TempDir()); !errors.Is(err, vfs.ErrDirectory) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := input.OpenExecutable(t.Context(), "-", endless{}); !errors.Is(err, input.ErrTooLarge) || fault.Of(err) != fault.Rejected {
		t.Errorf("more than %d bytes: %v", int64(multiversion.SizeMax), err)
	}
	binary := testbin.Build(t, testbin.Spec{})
	zip := testbin.Zip(t, "tigerbeetle", binary, testbin.ZipOptions{})
	for name, cut := range map[string][]byte{"nothing": nil, "half an archive": zip[:len(zip)/2], "half an executable": binary[:len(binary)/2]} {
		_, err := input.OpenExecutable(t.Context(), "-", bytes.NewReader(cut))
		if !errors.Is(err, archive.ErrEndedEarly) || fault.Of(err) != fault.Failed {
			t.Errorf("%s from a stream: %v", name, err)
		}
		path := filepath.Join(t.TempDir(), "cut") // it has its end: what is wrong with it is the file's
		testbin.WriteFile(t, path, cut)
		file, err := input.OpenExecutable(t.Context(), path, nil)
		if errors.Is(err, archive.ErrEndedEarly) {
			t.Errorf("%s from a file: %v", name, err)
		}
		if err == nil {
			file.Close()
		}
	}
}
