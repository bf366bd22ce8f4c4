//go:build linux

package standin_test

import (
	"os"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
)

func durable(t *testing.T, dataFile string) string {
	t.Helper()
	superblock, err := datafile.ReadFile(t.Context(), dataFile)
	if err != nil {
		t.Fatal(err)
	}
	return superblock.Release.String()
}

// The whole life: a rename under a running replica arms it, and it upgrades over a release to be
// visited, in one process.
func TestUpgradeOverVisit(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	allowed := dataFile + ".go"
	p := standin.Start(t, binary, dataFile, standin.Options{Upgrade: allowed})
	p.Must("0.17.6: listening, releases_bundled: [0.17.5 0.17.6]")

	standin.Replace(t, binary, standin.Binary(t, "0.17.8", "0.17.6", "0.17.7v"))
	p.Must("binary change detected: " + binary)
	p.Must("releases_bundled old: [0.17.5 0.17.6]")
	p.Must("releases_bundled new: [0.17.6 0.17.7]")
	if got := durable(t, dataFile); got != "0.17.6" {
		t.Errorf("durable release %s before the upgrade", got)
	}
	if err := os.WriteFile(allowed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.Must("0.17.6: executing current release 0.17.8 (target: 0.17.7)")
	p.Must("0.17.8: executing internal release 0.17.7")
	p.Must("0.17.7: listening, releases_bundled: [0.17.6 0.17.7 0.17.8]")
	p.Must("0.17.8: listening")
	if got := durable(t, dataFile); got != "0.17.8" {
		t.Errorf("durable release %s after the upgrade", got)
	}
}

// A process that dies anywhere on the way starts again and gets there.
func TestDieAtEveryStep(t *testing.T) {
	t.Parallel()
	before, after := standin.Binary(t, "0.17.6", "0.17.5"), standin.Binary(t, "0.17.8", "0.17.6", "0.17.7v")
	steps := []string{"0.17.6:armed", "0.17.6:superblock-0", "0.17.6:superblock-1", "0.17.6:superblock-2", "0.17.6:superblock-3",
		"0.17.6:checkpointed", "0.17.6:execute-current", "0.17.8:execute-past", "0.17.7:listening", "0.17.7:superblock-1",
		"0.17.7:checkpointed", "0.17.7:execute-current", "0.17.8:listening"}
	for index, step := range steps {
		if !testbin.Full() && index%3 != 0 {
			continue
		}
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			binary, dataFile := standin.Install(t, before)
			p := standin.Start(t, binary, dataFile, standin.Options{Upgrade: "now", Die: step})
			standin.Replace(t, binary, after)
			if code := p.Exit(); code != -1 || !strings.Contains(p.Log(), "dies at") {
				t.Fatalf("exit code %d, log:\n%s", code, p.Log())
			}
			p = standin.Start(t, binary, dataFile, standin.Options{Upgrade: "now"})
			p.Must("0.17.8: listening")
			if got := durable(t, dataFile); got != "0.17.8" {
				t.Errorf("durable release %s", got)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	base := standin.Binary(t, "0.17.6", "0.17.5")
	next := standin.Binary(t, "0.17.7", "0.17.5", "0.17.6")
	damaged := append([]byte(nil), next...)
	damaged[len(damaged)/2] ^= 1
	tests := []struct {
		name, want string
		install    func(t *testing.T, path string)
	}{
		{"mode", "error.BinaryNotMarkedExecutable", func(t *testing.T, path string) {
			if err := os.Chmod(path, 0o644); err != nil {
				t.Fatal(err)
			}
		}},
		{"damaged", "error.ChecksumMismatch", func(t *testing.T, path string) { standin.Replace(t, path, damaged) }},
		{"running release missing", "error.RunningVersionNotIncluded", func(t *testing.T, path string) {
			standin.Replace(t, path, standin.Binary(t, "0.17.8", "0.17.7"))
		}},
		{"gone", "no such file", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			binary, dataFile := standin.Install(t, base)
			p := standin.Start(t, binary, dataFile, standin.Options{})
			test.install(t, binary)
			p.Must(test.want)
			standin.Replace(t, binary, next) // and it goes on
			p.Must("releases_bundled new: [0.17.5 0.17.6 0.17.7]")
			standin.Replace(t, binary, base)
			p.Must("error.NotSuperset")
		})
	}
}

func TestReleaseNotAvailable(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Replace(t, binary, standin.Binary(t, "0.17.8", "0.17.7"))
	p := standin.Start(t, binary, dataFile, standin.Options{})
	if code := p.Exit(); code != 1 || !strings.Contains(p.Log(), "panic: release not available") {
		t.Errorf("exit code %d, log:\n%s", code, p.Log())
	}
}
