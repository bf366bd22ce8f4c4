package inspect_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/internal/testbin"
)

// BenchmarkInspect opens a file and reports on it: a small one, one of 48 MiB, and the
// executable of 48 MiB as the stored entry of a zip. It should take the same time for the first two.
func BenchmarkInspect(b *testing.B) {
	large := testbin.Build(b, testbin.Spec{Size: 48 << 20})
	for _, each := range []struct {
		name    string
		data    []byte
		inspect func(file *os.File, size int64) error
	}{
		{"file=small", testbin.Build(b, testbin.Spec{}), inspectFile},
		{"file=48MiB", large, inspectFile},
		{"entry=48MiB", testbin.Zip(b, "tigerbeetle", large, testbin.ZipOptions{Store: true}), inspectEntry},
	} {
		path := filepath.Join(b.TempDir(), "file")
		testbin.WriteFile(b, path, each.data)
		b.Run(each.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				file, err := os.Open(path)
				if err == nil {
					err = each.inspect(file, int64(len(each.data)))
				}
				if err != nil {
					b.Fatal(err)
				}
				file.Close()
			}
		})
	}
}

func inspectFile(file *os.File, size int64) error {
	_, err := inspect.Inspect(file, size, inspect.Options{})
	return err
}

func inspectEntry(file *os.File, size int64) error {
	zip, err := archive.Open(file, size)
	if err != nil {
		return err
	}
	entry, stored := zip.Section()
	if !stored {
		return errors.New("the entry is not stored")
	}
	_, err = inspect.Inspect(entry, entry.Size(), inspect.Options{})
	return err
}
