package tinyelf_test

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
)

func TestBuildRuns(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("skipped: the executables are for Linux")
	}
	runners := map[multiversion.Arch][]string{multiversion.ArchX86_64: {"qemu-x86_64"}, multiversion.ArchAArch64: {"qemu-aarch64"}}
	runners[map[string]multiversion.Arch{"amd64": multiversion.ArchX86_64, "arm64": multiversion.ArchAArch64}[runtime.GOARCH]] = nil
	for arch, runner := range runners {
		t.Run(string(arch), func(t *testing.T) {
			t.Parallel()
			if len(runner) > 0 {
				if _, err := exec.LookPath(runner[0]); err != nil {
					t.Skipf("skipped: needs %s: %v", runner[0], err)
				}
			}
			path := filepath.Join(t.TempDir(), "program")
			testbin.WriteFile(t, path, tinyelf.Build(arch, "hello"))
			command := append(runner, path)
			output, err := exec.Command(command[0], command[1:]...).CombinedOutput()
			if err != nil || string(output) != "hello\n" {
				t.Errorf("printed %q, %v", output, err)
			}
		})
	}
}

func TestSpecPacks(t *testing.T) {
	t.Parallel()
	for _, platform := range []multiversion.Platform{multiversion.PlatformX86_64Linux, multiversion.PlatformAArch64Linux} {
		data := testbin.Build(t, tinyelf.Spec(platform, 1, "0.17.8", "0.17.6", "0.17.7v"))
		if parsed := testbin.Parse(t, data); parsed.Platform() != platform || parsed.Current() != testbin.Release("0.17.8") {
			t.Errorf("packed %s of %s", parsed.Current(), parsed.Platform())
		}
		if len(data) > 16<<10 {
			t.Errorf("packed %d bytes", len(data))
		}
	}
}
