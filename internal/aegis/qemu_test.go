package aegis

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestEmulated runs these tests on CPUs that this machine does not have: one
// with arm64's AES instructions, a big-endian one, and older amd64 ones, on
// which the choice at the start must fall back. It needs qemu's user mode
// emulators (Debian: apt install qemu-user) and the go command.
func TestEmulated(t *testing.T) {
	t.Parallel()
	if os.Getenv(expectEnv) != "" {
		t.Skip("already emulated")
	}
	if os.Getenv("TORTURE") != "full" {
		t.Skip("skipped: builds for other machines, which takes a minute: set TORTURE=full")
	}
	golang, err := exec.LookPath("go")
	if err != nil {
		t.Skipf("no go command: %v", err)
	}
	machines := []struct {
		name, arch, emulator string
		flags                []string
		expect               string
	}{
		{"arm64", "arm64", "qemu-aarch64", nil, "neon"},
		{"arm64_without_aes", "arm64", "qemu-aarch64", []string{"-E", "GODEBUG=cpu.aes=off"}, "generic"},
		{"big_endian", "s390x", "qemu-s390x", nil, "generic"},
		{"amd64_without_avx", "amd64", "qemu-x86_64", []string{"-cpu", "Westmere"}, "sse"},
		{"amd64_without_aes", "amd64", "qemu-x86_64", []string{"-cpu", "Nehalem"}, "generic"},
	}
	for _, m := range machines {
		t.Run(m.name, func(t *testing.T) {
			emulator, err := exec.LookPath(m.emulator)
			if err != nil {
				t.Skipf("no %s: %v", m.emulator, err)
			}
			binary := filepath.Join(t.TempDir(), "aegis.test")
			build := exec.CommandContext(t.Context(), golang, "test", "-c", "-o", binary, ".")
			build.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+m.arch, "GOAMD64=v1", "GOFLAGS=", "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("build: %v\n%s", err, out)
			}
			run := exec.CommandContext(t.Context(), emulator, append(m.flags, binary, "-test.short", "-test.v")...)
			run.Env = append(os.Environ(), expectEnv+"="+m.expect)
			out, err := run.CombinedOutput()
			if err != nil {
				t.Fatalf("run: %v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}
