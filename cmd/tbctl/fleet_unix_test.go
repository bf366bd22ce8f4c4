//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/report"
)

// An inventory names the program that is started: one that lies where another user may write is not read unless it is
// named, and nothing that it names is started.
func TestFleetForeignInventory(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file, dir os.FileMode
		owner     int
		trusted   bool
	}{
		"one's own":                        {0o644, 0o755, os.Geteuid(), true},
		"everybody may write it":           {0o646, 0o755, os.Geteuid(), false},
		"everybody may write where it is":  {0o644, 0o777, os.Geteuid(), false},
		"... and the bit of /tmp does not": {0o644, 0o777 | os.ModeSticky, os.Geteuid(), false},
		"another's":                        {0o644, 0o755, 65534, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file, mark := filepath.Join(dir, "fleet.toml"), filepath.Join(t.TempDir(), "started")
			text := fmt.Sprintf("ssh = ['/bin/sh', '-c', 'echo x >%s']\n[[cluster]]\nname = 'a'\nhosts = ['tb0']\n", mark)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chown(file, test.owner, -1); err != nil {
				t.Skipf("skipped: a file of another user needs root: %v", err)
			}
			for name, mode := range map[string]os.FileMode{file: test.file, dir: test.dir} {
				if err := os.Chmod(name, mode); err != nil {
					t.Fatal(err)
				}
			}
			run := func(args ...string) (string, int) {
				command := exec.Command("tbctl", append([]string{"fleet", "status"}, args...)...)
				command.Dir = dir
				output, _ := command.CombinedOutput() // its exit code says it
				return string(output), command.ProcessState.ExitCode()
			}
			output, code := run()
			_, err := os.Stat(mark)
			if started := err == nil; started != test.trusted || !test.trusted && (code != 2 || !strings.Contains(output, "another user may decide")) {
				t.Errorf("started: %v, exit code %d:\n%s", started, code, output)
			}
			if output, code = run("--fleet", file); code != 1 {
				t.Errorf("where it is named: exit code %d:\n%s", code, output)
			}
		})
	}
}

// A target that the inventory names and the host's own configuration does not is told, and so is one that could not be
// looked at; neither is a success.
func TestFleetTargetNotShown(t *testing.T) {
	t.Parallel()
	shown := func(paths ...string) *report.Host {
		h := &report.Host{Version: report.HostVersion}
		for _, path := range paths {
			h.Targets = append(h.Targets, report.HostTarget{Path: path, Status: &report.Status{}})
		}
		return h
	}
	for name, test := range map[string]struct {
		host report.FleetHost
		want string
	}{
		"its own":        {report.FleetHost{Name: "tb0", Report: shown("/a")}, ""},
		"the named one":  {report.FleetHost{Name: "tb0", Target: "/b", Report: shown("/a", "/b")}, ""},
		"another":        {report.FleetHost{Name: "tb0", Target: "/b", Report: shown("/a", "/c")}, `does not name the target /b: its targets are ["/a" "/c"]`},
		"none":           {report.FleetHost{Name: "tb0", Report: shown()}, "shows no target"},
		"one not seen":   {report.FleetHost{Name: "tb0", Report: &report.Host{Targets: []report.HostTarget{{Path: "/a", Problem: "it is a directory"}}}}, "it is a directory"},
		"another is not": {report.FleetHost{Name: "tb0", Target: "/b", Report: &report.Host{Targets: []report.HostTarget{{Path: "/a"}, {Path: "/b", Status: &report.Status{}}}}}, ""},
		"words that act": {report.FleetHost{Name: "tb0", Report: &report.Host{Targets: []report.HostTarget{{Path: "/a", Status: &report.Status{}, Warnings: []string{"\x1b[31mred\r"}}}}}, ""},
	} {
		host := test.host
		host.Answered(host.Report)
		result := &report.Fleet{Hosts: []report.FleetHost{host}}
		var buffer bytes.Buffer
		render.Fleet(term.New(&buffer, term.ColorNever, func(string) string { return "" }), result)
		text := strings.Join(strings.Fields(buffer.String()), " ")
		err := result.Err()
		if (err == nil) != (test.want == "") || !strings.Contains(text, test.want) || !strings.Contains(text, "tb0") {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
		if strings.ContainsAny(text, "\x1b\r") {
			t.Errorf("%s: a terminal acts on %q", name, text)
		}
	}
}
