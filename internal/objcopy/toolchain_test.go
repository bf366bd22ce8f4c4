package objcopy_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/internal/objcopy"
	"github.com/tbctl/tbctl/internal/testbin"
)

const greeting = "hello from the rebuilt executable\n"

const helloGo = `package main

func main() { print("` + `hello from the rebuilt executable\n") }
`

const helloC = `#include <stdio.h>
__thread int loaded = 3; __thread int zeroed;
static int space[10000]; int data[100] = {1, 2};
__attribute__((section("custom_a"))) int custom = 5;
__attribute__((section("custom_b"))) const int constant = 6;
static int helper(int at) { return at * loaded + space[at & 7]; }
__attribute__((constructor)) static void first(void) { zeroed = 1; }
int main(int count, char **values) {
	(void)values;
	fputs("hello from the rebuilt executable\n", stderr);
	return helper(count) + data[1] + custom + constant + zeroed == 17 ? 0 : 1;
}
`

// built is an executable that a toolchain made, by the name of what made it.
type built struct {
	name string
	path string
	data []byte
}

// compile runs one compiler. What it cannot build is logged, and nil.
func compile(t testing.TB, dir, source string, environment []string, command ...string) *built {
	t.Helper()
	name := strings.Join(command, " ")
	if _, err := exec.LookPath(command[0]); err != nil {
		t.Logf("not built: %s: %v", name, err)
		return nil
	}
	out := filepath.Join(dir, strings.NewReplacer(" ", "_", "/", "_", ",", "_", "=", "_").Replace(name))
	run := exec.Command(command[0], append(command[1:], "-o", out, source)...)
	run.Env = append(os.Environ(), environment...)
	run.Dir = dir
	if output, err := run.CombinedOutput(); err != nil {
		first, _, _ := strings.Cut(string(output), "\n")
		t.Logf("not built: %s: %v: %s", name, err, first)
		return nil
	}
	data, err := os.ReadFile(out)
	if err != nil { // some compilers add it
		data, err = os.ReadFile(out + ".exe")
	}
	if err != nil {
		t.Logf("not built: %s: %v", name, err)
		return nil
	}
	return &built{strings.Join(append(environment, name), " "), out, data}
}

// goExecutables builds with Go's own linker, for the systems and processors named.
func goExecutables(t testing.TB, systems, processors []string, flags ...[]string) []*built {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "hello.go")
	if err := os.WriteFile(source, []byte(helloGo), 0o600); err != nil {
		t.Fatal(err)
	}
	var all []*built
	for _, system := range systems {
		for _, processor := range processors {
			for _, each := range flags {
				sub := filepath.Join(dir, system+processor)
				if err := os.MkdirAll(sub, 0o700); err != nil {
					t.Fatal(err)
				}
				environment := []string{"GOOS=" + system, "GOARCH=" + processor, "CGO_ENABLED=0", "GOFLAGS=", "GO111MODULE=off"}
				if made := compile(t, sub, source, environment, append([]string{"go", "build"}, each...)...); made != nil {
					all = append(all, made)
				}
			}
		}
	}
	return all
}

// TestRuns executes a rebuilt executable of this system.
func TestRuns(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("skipped: builds executables, which takes seconds, in short mode")
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skipf("skipped: needs linux on amd64 or arm64, not %s on %s", runtime.GOOS, runtime.GOARCH)
	}
	flags := [][]string{nil}
	if testbin.Full() {
		flags = append(flags, []string{"-buildmode=pie"}) // it makes the Go command compile the standard library once more
	}
	inputs := goExecutables(t, []string{"linux"}, []string{runtime.GOARCH}, flags...)
	inputs = append(inputs, cExecutables(t, hosted(t), []string{"gcc"}, []string{"-g", "-s -no-pie", "-static-pie -fPIE"})...)
	if len(inputs) == 0 {
		t.Skip("skipped: no compiler")
	}
	dir := t.TempDir()
	for _, each := range inputs {
		checkRoundTrip(t, each.name, each.data)
		image, err := objcopy.Add(bytes.NewReader(each.data), int64(len(each.data)), section(testBody), section(testHeader))
		if err != nil {
			t.Errorf("%s: %v", each.name, err)
			continue
		}
		path := filepath.Join(dir, filepath.Base(each.path))
		if err := os.WriteFile(path, bytesOf(t, image), 0o700); err != nil {
			t.Fatal(err)
		}
		output, err := exec.Command(path).CombinedOutput()
		for errors.Is(err, syscall.ETXTBSY) { // a process that another test is just starting has it open for writing until it executes
			output, err = exec.Command(path).CombinedOutput()
		}
		if err != nil || string(output) != greeting {
			t.Errorf("%s: %v: %q", each.name, err, output)
		}
	}
	t.Logf("%d executables run", len(inputs))
}

// hosted writes the C program that needs a C library. The fixtures' program needs none.
func hosted(t testing.TB) string {
	t.Helper()
	source := filepath.Join(t.TempDir(), "hello.c")
	if err := os.WriteFile(source, []byte(helloC), 0o600); err != nil {
		t.Fatal(err)
	}
	return source
}

func bare(t testing.TB) string {
	t.Helper()
	source, err := filepath.Abs("testdata/fixture.c")
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// cExecutables builds a C program with every compiler and every set of options.
func cExecutables(t testing.TB, source string, compilers, options []string) []*built {
	t.Helper()
	dir := t.TempDir()
	var all []*built
	for _, compiler := range compilers {
		for _, each := range options {
			if made := compile(t, dir, source, nil, strings.Fields(compiler+" "+each)...); made != nil {
				all = append(all, made)
			}
		}
	}
	return all
}

// manySections is C source with so many sections of one variable each.
func manySections(count int) string {
	var text strings.Builder
	for index := range count {
		name := "v" + strings.Repeat("x", index%7) + string(rune('a'+index%26)) + strings.Repeat("y", index/26)
		text.WriteString("__attribute__((section(\"" + name + "\"))) int " + name + "_ = 1;\n")
	}
	return text.String() + "void _start(void) { for (;;) {} }\n"
}

// TestToolchains compares executables of many compilers, linkers and options.
func TestToolchains(t *testing.T) {
	t.Parallel()
	if os.Getenv("OBJCOPY_TOOLCHAINS") == "" {
		t.Skip("skipped: builds some 200 executables, which takes a minute: set OBJCOPY_TOOLCHAINS=1")
	}
	tool := findOracle(t)
	inputs := cExecutables(t, hosted(t), []string{"gcc", "clang", "clang -fuse-ld=lld", "gcc -fuse-ld=gold", "aarch64-linux-gnu-gcc"}, []string{
		"", "-g", "-static", "-static-pie -fPIE", "-no-pie", "-s", "-g -gz", "-static -g", "-static -s", "-shared -fPIC", "-rdynamic", "-g3 -gdwarf-4",
		"-Wl,--emit-relocs", "-Wl,-z,max-page-size=65536", "-Wl,-z,max-page-size=2097152", "-Wl,-z,noseparate-code", "-Wl,-z,norelro",
		"-Wl,--build-id=none -Wl,--hash-style=sysv", "-ffunction-sections -fdata-sections -Wl,--gc-sections", "-Wl,--strip-debug",
		"-Wl,-z,separate-loadable-segments", "-Wl,-z,rodynamic", "-static -g -gz", "-Wl,-Ttext-segment=0x10000000", "-Wl,--discard-all"})
	inputs = append(inputs, cExecutables(t, bare(t), []string{
		"clang --target=x86_64-linux-gnu -nostdlib -ffreestanding -fuse-ld=lld -static",
		"clang --target=aarch64-linux-gnu -nostdlib -ffreestanding -fuse-ld=lld -static",
		"gcc -nostdlib -ffreestanding -static", "aarch64-linux-gnu-gcc -nostdlib -ffreestanding -static",
	}, []string{"", "-g", "-s", "-g -gz", "-Wl,-z,separate-loadable-segments", "-Wl,--no-rosegment", "-Wl,-N", "-Wl,-n", "-Wl,--emit-relocs",
		"-Wl,-z,max-page-size=65536", "-Wl,--no-eh-frame-hdr", "-Wl,-z,nosectionheader", "-Wl,--unique", "-Wl,-z,stack-size=1048576"})...)
	inputs = append(inputs, cExecutables(t, bare(t), []string{
		"clang --target=x86_64-pc-windows-msvc -fuse-ld=lld -nostdlib -ffreestanding -Wl,/entry:mainCRTStartup,/subsystem:console",
		"clang --target=aarch64-pc-windows-msvc -fuse-ld=lld -nostdlib -ffreestanding -Wl,/entry:mainCRTStartup,/subsystem:console",
	}, []string{"", "-g", "-g -Wl,/debug", "-Wl,/debug,/Brepro", "-Wl,/filealign:4096", "-Wl,/debug:symtab", "-Wl,/debug:dwarf -gdwarf",
		"-Wl,/align:65536", "-Wl,/filealign:16", "-Wl,/merge:.rdata=.text"})...)
	inputs = append(inputs, cExecutables(t, hosted(t), []string{"x86_64-w64-mingw32-gcc", "x86_64-w64-mingw32-gcc -fuse-ld=lld"}, []string{
		"", "-g", "-s", "-static", "-mwindows", "-Wl,--file-alignment=4096", "-shared", "-Wl,--strip-debug", "-g -ffunction-sections"})...)
	both := []string{"amd64", "arm64"}
	inputs = append(inputs, goExecutables(t, []string{"linux", "windows"}, both, nil, []string{"-ldflags=-s -w"}, []string{"-buildmode=pie"})...)
	dir := t.TempDir()
	for _, count := range []int{100, 115, 125, 400} {
		source := filepath.Join(dir, "many.c")
		if err := os.WriteFile(source, []byte(manySections(count)), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, compiler := range []string{"gcc", "clang -fuse-ld=lld"} {
			made := compile(t, dir, source, nil, append(strings.Fields(compiler), "-nostdlib", "-static", "-ffreestanding")...)
			if made != nil {
				inputs = append(inputs, made)
			}
		}
	}
	var count tally
	for _, each := range inputs {
		count.compare(t, tool, each.name, each.data)
	}
	t.Log(count)
	if count.equal == 0 {
		t.Error("nothing was compared")
	}
}

// TestSweep compares the executables among the files of a pattern.
func TestSweep(t *testing.T) {
	t.Parallel()
	pattern := os.Getenv("OBJCOPY_SWEEP")
	if pattern == "" {
		t.Skip("skipped: set OBJCOPY_SWEEP to a pattern of files, such as '/usr/bin/*'")
	}
	tool := findOracle(t)
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var count tally
	for _, name := range names {
		info, err := os.Lstat(name)
		if err != nil || !info.Mode().IsRegular() || info.Size() > 64<<20 {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(data, []byte("\x7fELF")) || bytes.HasPrefix(data, []byte("MZ")) {
			count.compare(t, tool, name, data)
		}
	}
	t.Log(count)
}
