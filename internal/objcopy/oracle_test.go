package objcopy_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/objcopy"
)

// The environment chooses what is compared with llvm-objcopy beyond the quick inputs:
//
//	OBJCOPY_TOOL        the program to compare with, instead of llvm-objcopy on PATH
//	OBJCOPY_SWEEP       a pattern of files to compare, such as '/usr/bin/*'
//	OBJCOPY_TOOLCHAINS  any text: build and compare with all compilers, linkers and options
//	OBJCOPY_MUTATIONS   how many damaged fixtures to compare
//	OBJCOPY_SEED        the seed of the mutations
//
// Versions 14, 16 and 19 agree with each other and with this package on all. From 21 on llvm-objcopy
// puts long section names first in the string table of a PE image, which it did not before.

// oracle is an llvm-objcopy with a directory to work in, which holds the
// contents of the sections to add.
type oracle struct {
	tool, dir string
	newNames  bool // version 21 or later
}

func findOracle(t testing.TB) oracle {
	t.Helper()
	name := os.Getenv("OBJCOPY_TOOL")
	if name == "" {
		name = "llvm-objcopy"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("skipped: needs llvm-objcopy to compare with: %v", err)
	}
	found := oracle{tool: path, dir: t.TempDir()}
	output, err := exec.Command(path, "--version").Output()
	if err != nil {
		t.Skipf("skipped: %s --version: %v", path, err)
	}
	if _, version, ok := strings.Cut(string(output), "LLVM version "); ok {
		major, _, _ := strings.Cut(version, ".")
		number, err := strconv.Atoi(major)
		found.newNames = err == nil && number >= 21
	}
	for name, data := range map[string][]byte{"body": testBody, "header": testHeader, "next": nextHeader} {
		if err := os.WriteFile(filepath.Join(found.dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// run rebuilds a file with llvm-objcopy's options.
func (o oracle) run(data []byte, args ...string) ([]byte, error) {
	in, out := filepath.Join(o.dir, "in"), filepath.Join(o.dir, "out")
	if err := os.WriteFile(in, data, 0o600); err != nil {
		return nil, err
	}
	args = append([]string{"--enable-deterministic-archives"}, args...)
	var stderr bytes.Buffer
	command := exec.Command(o.tool, append(args, in, out)...)
	command.Stderr = &stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return os.ReadFile(out)
}

func (o oracle) normalize(data []byte) ([]byte, error) { return o.run(data) }

func (o oracle) add(data []byte) ([]byte, error) {
	return o.run(data, append([]string{"--keep-undefined"}, append(o.section(".tb_mvb", "body"), o.section(".tb_mvh", "header")...)...)...)
}

func (o oracle) replace(data []byte) ([]byte, error) {
	return o.run(data, append([]string{"--keep-undefined", "--remove-section", ".tb_mvh"}, o.section(".tb_mvh", "next")...)...)
}

func (o oracle) remove(data []byte) ([]byte, error) {
	return o.run(data, "--keep-undefined", "--remove-section", ".tb_mvb", "--remove-section", ".tb_mvh")
}

func (o oracle) section(name, file string) []string {
	return []string{"--add-section", name + "=" + filepath.Join(o.dir, file), "--set-section-flags", name + "=contents,noload,readonly"}
}

// tally counts the outcomes of comparing.
type tally struct {
	equal, refused, both, oracleOnly, skipped int
}

func (c tally) String() string {
	return fmt.Sprintf("compared with llvm-objcopy: %d inputs equal, %d refused here, %d refused by both, %d refused by llvm-objcopy only, %d skipped",
		c.equal, c.refused, c.both, c.oracleOnly, c.skipped)
}

// compare requires that all operations on one executable give what
// llvm-objcopy gives, or are refused.
func (c *tally) compare(t *testing.T, tool oracle, name string, data []byte) {
	t.Helper()
	if tool.newNames && bytes.HasPrefix(data, []byte("MZ")) {
		c.skipped++
		return
	}
	want, wantErr := tool.normalize(data)
	image, err := objcopy.Normalize(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		if !errors.Is(err, objcopy.ErrLayout) {
			t.Errorf("%s: refused with another error than ErrLayout: %v", name, err)
		}
		if wantErr != nil {
			c.both++
		} else {
			c.refused++
			t.Logf("%s: %v", name, err)
		}
		return
	}
	if wantErr != nil {
		c.oracleOnly++
		t.Logf("%s: only llvm-objcopy refuses: %v", name, wantErr)
		return
	}
	if normalized := bytesOf(t, image); same(t, name+": normalize", normalized, want) && compareSections(t, tool, name, normalized) {
		c.equal++
	}
}

// compareSections adds, replaces and removes sections of a normalized file.
func compareSections(t *testing.T, tool oracle, name string, normalized []byte) bool {
	t.Helper()
	image, err := objcopy.Add(bytes.NewReader(normalized), int64(len(normalized)), section(testBody), section(testHeader))
	if err != nil {
		t.Errorf("%s: add: %v", name, err)
		return false
	}
	packed := bytesOf(t, image)
	want, wantErr := tool.add(normalized)
	if wantErr != nil || !same(t, name+": add", packed, want) {
		return false
	}
	image, err = objcopy.Add(bytes.NewReader(normalized), int64(len(normalized)), section(testBody), section(nextHeader))
	if err != nil {
		t.Errorf("%s: replace: %v", name, err)
		return false
	}
	replaced := bytesOf(t, image)
	want, wantErr = tool.replace(packed)
	if wantErr != nil || !same(t, name+": replace", replaced, want) {
		return false
	}
	image, err = objcopy.Remove(bytes.NewReader(replaced), int64(len(replaced)))
	if err != nil {
		t.Errorf("%s: remove: %v", name, err)
		return false
	}
	removed := bytesOf(t, image)
	want, wantErr = tool.remove(replaced)
	return wantErr == nil && same(t, name+": remove", removed, want) && same(t, name+": remove and normalized", removed, normalized)
}

func same(t *testing.T, what string, got, want []byte) bool {
	t.Helper()
	if bytes.Equal(got, want) {
		return true
	}
	t.Errorf("%s: %d bytes, want %d; they first differ at offset %#x", what, len(got), len(want), firstDifference(got, want))
	return false
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func bytesOf(t testing.TB, image *objcopy.Image) []byte {
	t.Helper()
	var buffer bytes.Buffer
	n, err := image.WriteTo(&buffer)
	if err != nil {
		t.Fatal(err)
	}
	if n != image.Size() || n != int64(buffer.Len()) {
		t.Fatalf("WriteTo returned %d and wrote %d bytes, the size is %d", n, buffer.Len(), image.Size())
	}
	return buffer.Bytes()
}

func section(data []byte) objcopy.Content {
	return objcopy.Content{R: bytes.NewReader(data), Size: int64(len(data))}
}

// The contents of the sections, which tests do not change.
var (
	testBody   = bytes.Repeat([]byte("past executables "), 777)
	testHeader = bytes.Repeat([]byte{0xa5, 0, 1}, 8192/3+1)[:8192]
	nextHeader = bytes.Repeat([]byte{0x5a, 1, 0}, 8192/3+1)[:8192]
)
