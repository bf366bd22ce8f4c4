package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

// forOther builds tbctl for another system. It takes minutes where nothing of it is compiled yet.
func forOther(t *testing.T, goos, goarch string) string {
	t.Helper()
	if os.Getenv("TORTURE") != "full" {
		t.Skip("skipped: it compiles tbctl for another system: TORTURE=full")
	}
	name := filepath.Join(t.TempDir(), "tbctl.exe")
	build := exec.Command("go", "build", "-o", name, ".")
	build.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build for %s/%s: %v\n%s", goos, goarch, err, output)
	}
	return name
}

// TestARM64Demo runs tbctl demo for arm64: it packs, serves, fetches, verifies, swaps, executes and goes back, in aarch64 files. Replicas
// are not among it, since each process of an emulator executes the emulator: it runs as in a container, where the demonstration has none.
func TestARM64Demo(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH == "arm64" {
		t.Skip("skipped: every other test is that of arm64 here")
	}
	const emulator = "../../.ci/arm64"
	if output, err := exec.Command(emulator, "true").CombinedOutput(); err != nil {
		t.Skipf("skipped: arm64 is run by qemu-aarch64 (package qemu-user), and executes aarch64 files by binfmt_misc in a namespace (Linux 6.7): %v: %s", err, output)
	}
	command := exec.Command(emulator, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", forOther(t, "linux", "arm64"), "demo", "--json")
	command.Env = append(os.Environ(), "TBCTL_CONFIG=/dev/null", "HOME="+t.TempDir(), "TMPDIR="+t.TempDir())
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	var document struct {
		OK     bool
		Result struct {
			Steps []struct{ Command string }
		}
	}
	if jsonErr := json.Unmarshal(output, &document); err != nil || jsonErr != nil || !document.OK || len(document.Result.Steps) < 5 {
		t.Errorf("%v, %v\n%s\n%s", err, jsonErr, output, stderr.Bytes())
	}
}

// prng is what Go's start-up asks of Windows and an old Wine does not have: bytes for the seeds of its maps, which need not be random here.
const prng = `	.text
	.globl DllMain
DllMain:
	movl $1, %eax
	ret
	.globl ProcessPrng
ProcessPrng:
	movq %rdx, %r8
	testq %r8, %r8
	jz 2f
1:	rdtsc
	imull $0x9E3779B1, %eax, %eax
	shrl $24, %eax
	movb %al, (%rcx)
	incq %rcx
	decq %r8
	jnz 1b
2:	movl $1, %eax
	ret
	.section .drectve
	.ascii " -export:ProcessPrng"
`

// wine runs programs for Windows.
type wine struct {
	t       *testing.T
	program string
	env     []string
}

func newWine(t *testing.T) *wine {
	t.Helper()
	w := &wine{t: t, program: "/usr/lib/wine/wine64"} // Debian has it outside of PATH
	if found, err := exec.LookPath("wine64"); err == nil {
		w.program = found
	}
	const assembler, linker = "x86_64-w64-mingw32-as", "x86_64-w64-mingw32-ld"
	for _, program := range []string{w.program, assembler, linker} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("skipped: Windows is run by Wine (packages wine64 and binutils-mingw-w64-x86-64): %v", err)
		}
	}
	dir := t.TempDir()
	prefix := filepath.Join(dir, "prefix")
	w.env = []string{"PATH=" + os.Getenv("PATH"), "WINEPREFIX=" + prefix, "WINEDEBUG=-all", "HOME=" + dir, "WINEDLLOVERRIDES=mscoree,mshtml="}
	t.Cleanup(func() { _, _ = w.run("wineboot", "--kill") }) // its server and services are this prefix's alone
	if output, err := w.run("wineboot", "--init"); err != nil {
		t.Fatalf("wineboot: %v\n%s", err, output)
	}
	source, object := filepath.Join(dir, "prng.s"), filepath.Join(dir, "prng.o")
	library := filepath.Join(prefix, "drive_c/windows/system32/bcryptprimitives.dll")
	if _, err := os.Stat(library); err == nil {
		return w // a Wine that has it
	}
	if err := os.WriteFile(source, []byte(prng), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{assembler, "-o", object, source}, {linker, "-shared", "--entry", "DllMain", "-o", library, object}} {
		if output, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command[0], err, output)
		}
	}
	return w
}

// run returns what a program printed on both streams.
func (w *wine) run(args ...string) (string, error) {
	command := exec.Command(w.program, args...)
	command.Env = w.env
	output, err := command.CombinedOutput()
	return strings.ReplaceAll(string(output), "\r\n", "\n"), err
}

// TestWindows runs what looks, fetches and builds on Windows, on real files for Windows: inspect, verify, download, pack and extract. What replaces a
// file is refused there.
func TestWindows(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH != "amd64" {
		t.Skip("skipped: Wine runs programs for this processor")
	}
	w := newWine(t)
	program := forOther(t, "windows", "amd64")
	dir := t.TempDir()
	for name, spec := range map[string]testbin.Spec{
		"old": {Current: testbin.Release("0.17.7"), Past: testbin.PastOf("0.17.6")}, "far": {Current: testbin.Release("0.99.9"), Past: testbin.PastOf("0.99.8")},
	} {
		spec.Platform = multiversion.PlatformX86_64Windows
		data := testbin.Build(t, spec)
		writeDoc(t, filepath.Join(dir, name+".exe"), data, 0o644)
		if name == "old" {
			spec = testbin.Spec{Platform: spec.Platform, Current: testbin.Release("0.17.8"), From: data}
			writeDoc(t, filepath.Join(dir, "next.exe"), testbin.Build(t, spec), 0o644)
			data[len(data)-20] ^= 1
			writeDoc(t, filepath.Join(dir, "damaged.exe"), data, 0o644)
		}
	}
	at := func(name string) string { return `Z:` + strings.ReplaceAll(filepath.Join(dir, name), "/", `\`) }
	for _, run := range []struct {
		args []string
		code int
		said string
	}{
		{[]string{"version"}, 0, "windows/amd64"},
		{[]string{"inspect", at("next.exe")}, 0, "0.17.8"},
		{[]string{"verify", at("next.exe"), "--against", at("old.exe")}, 0, "the file is whole"},
		{[]string{"verify", at("far.exe"), "--against", at("old.exe")}, 4, "0.17.7"},
		{[]string{"verify", at("damaged.exe")}, 3, "checksum"},
		{[]string{"download", at("next.exe"), "-o", at("copy.exe")}, 0, "release 0.17.8 for x86_64-windows"},
		{[]string{"verify", at("copy.exe"), "--json"}, 0, `"ok": true`},
		{[]string{"extract", at("next.exe"), "0.17.7", "-o", at("plain.exe")}, 0, "0.17.7"},
		{[]string{"pack", at("plain.exe"), "-o", at("packed.exe"), "--release", "0.17.8", "--commit", strings.Repeat("a", 40), "--client-min", "0.16.4", "--past", at("old.exe")}, 0, "0.17.8"},
		{[]string{"verify", at("packed.exe"), "--against", at("old.exe")}, 0, "the file is whole"},
		{[]string{"install", at("next.exe"), at("old.exe")}, 1, "Windows"},
	} {
		output, err := w.run(append([]string{program}, run.args...)...)
		code := 0
		if exit, ok := err.(*exec.ExitError); ok {
			code, err = exit.ExitCode(), nil
		}
		if err != nil || code != run.code || !strings.Contains(output, run.said) {
			t.Errorf("%q: exit code %d, want %d and %q: %v\n%s", run.args, code, run.code, run.said, err, output)
		}
	}
	one, err := os.ReadFile(filepath.Join(dir, "copy.exe"))
	other, otherErr := os.ReadFile(filepath.Join(dir, "next.exe"))
	if err != nil || otherErr != nil || !bytes.Equal(one, other) {
		t.Errorf("what was downloaded is another file: %v, %v", err, otherErr)
	}
}
