package objcopy_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/objcopy"
)

// oracle is the program that the results are compared with. OBJCOPY_ORACLE
// names another one than llvm-objcopy on PATH.
func oracle(t testing.TB) string {
	t.Helper()
	name := os.Getenv("OBJCOPY_ORACLE")
	if name == "" {
		name = "llvm-objcopy"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("skipped: needs llvm-objcopy to compare with: %v", err)
	}
	return path
}

// objcopyFile runs the oracle on a file and returns what it wrote.
func objcopyFile(path, dir, in string, args ...string) ([]byte, error) {
	out := filepath.Join(dir, "out")
	args = append([]string{"--enable-deterministic-archives"}, args...)
	var stderr bytes.Buffer
	command := exec.Command(path, append(args, in, out)...)
	command.Stderr = &stderr
	if err := command.Run(); err != nil {
		return nil, errors.New(strings.TrimSpace(stderr.String()) + ": " + err.Error())
	}
	data, err := os.ReadFile(out)
	os.Remove(out)
	return data, err
}

func contents(image *objcopy.Image) ([]byte, error) {
	var buffer bytes.Buffer
	n, err := image.WriteTo(&buffer)
	if err == nil && n != image.Size() {
		err = errors.New("WriteTo wrote another size")
	}
	return buffer.Bytes(), err
}

// firstDifference says where two files differ.
func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func section(data []byte) objcopy.Content {
	return objcopy.Content{R: bytes.NewReader(data), Size: int64(len(data))}
}

var (
	testBody   = bytes.Repeat([]byte("past executables "), 777)
	testHeader = bytes.Repeat([]byte{0xa5, 0, 1}, 8192/3+1)[:8192]
)
