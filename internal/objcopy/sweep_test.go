package objcopy_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/internal/objcopy"
)

var addArguments = func(dir string) []string {
	return []string{"--keep-undefined",
		"--add-section", ".tb_mvb=" + filepath.Join(dir, "body"), "--set-section-flags", ".tb_mvb=contents,noload,readonly",
		"--add-section", ".tb_mvh=" + filepath.Join(dir, "header"), "--set-section-flags", ".tb_mvh=contents,noload,readonly"}
}

func TestSweep(t *testing.T) {
	pattern := os.Getenv("OBJCOPY_SWEEP")
	if pattern == "" {
		t.Skip("skipped: OBJCOPY_SWEEP names no files, such as /usr/bin/*")
	}
	tool := oracle(t)
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "body"), testBody, 0o600)
	os.WriteFile(filepath.Join(dir, "header"), testHeader, 0o600)
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	same, refused, both := 0, 0, 0
	for _, name := range names {
		info, err := os.Lstat(name)
		if err != nil || !info.Mode().IsRegular() || info.Size() > 64<<20 {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil || len(data) < 4 || string(data[:4]) != "\x7fELF" && string(data[:2]) != "MZ" {
			continue
		}
		r := bytes.NewReader(data)
		for _, op := range []string{"normalize", "add"} {
			var args []string
			var image *objcopy.Image
			var got []byte
			if op == "normalize" {
				image, err = objcopy.Normalize(r, int64(len(data)))
			} else {
				args = addArguments(dir)
				image, err = objcopy.Add(r, int64(len(data)), section(testBody), section(testHeader))
			}
			want, wantErr := objcopyFile(tool, dir, name, args...)
			if err == nil {
				got, err = contents(image)
			}
			switch {
			case err != nil && wantErr != nil:
				both++
				t.Logf("%s: refused: %v; and by llvm-objcopy: %v", name, err, wantErr)
			case err != nil:
				refused++
				t.Logf("%s: refused: %v", name, err)
			case wantErr != nil:
				t.Errorf("%s: %s: llvm-objcopy refuses: %v", name, op, wantErr)
			case !bytes.Equal(got, want):
				t.Errorf("%s: %s: %d bytes, want %d, first difference at %#x", name, op, len(got), len(want), firstDifference(got, want))
			default:
				same++
			}
		}
	}
	t.Logf("%d results equal, %d refused, %d refused by both", same, refused, both)
}
