package replica_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

func releases(texts ...string) []multiversion.Release {
	var all []multiversion.Release
	for _, text := range texts {
		all = append(all, testbin.Release(text))
	}
	return all
}

// only returns the one process that runs from the target.
func only(t *testing.T, target string) replica.Process {
	t.Helper()
	view, err := replica.Find(t.Context(), target, replica.Options{})
	if err != nil {
		t.Fatal(err)
	}
	found := view.Processes
	if len(found) != 1 {
		t.Fatalf("found %d processes, want 1: %+v", len(found), found)
	}
	return found[0]
}

func checkRunning(t *testing.T, got replica.Process, release string, source replica.RunningSource, certain bool, origin replica.Origin) {
	t.Helper()
	if got.Running.Release != testbin.Release(release) || got.Running.Source != source || got.Running.Certain != certain || got.Origin != origin {
		t.Errorf("running %+v, origin %s, exe %s; want %s from %s, certain %t, origin %s",
			got.Running, got.Origin, got.Exe, release, source, certain, origin)
	}
	if len(got.Unreadable) > 0 {
		t.Errorf("unreadable: %+v", got.Unreadable)
	}
}

func checkOffered(t *testing.T, got replica.Process, want ...string) {
	t.Helper()
	if got.Armed == nil || !slices.Equal(got.Armed.Offered, releases(want...)) {
		t.Errorf("armed %+v, want %v offered", got.Armed, want)
	}
}

// A replica seen at each stage of an upgrade over a release to be visited.
func TestFindThroughUpgrade(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	permit := dataFile + ".go"
	p := standin.Start(t, binary, dataFile, standin.Options{Upgrade: permit})
	p.Must("listening")
	got := only(t, binary)
	checkRunning(t, got, "0.17.6", replica.SourceExecutable, true, replica.OriginTarget)
	checkOffered(t, got, "0.17.5", "0.17.6")
	if got.PID != p.PID() || !got.Replica || !got.Polls || got.Subcommand != "start" || got.DataFile != dataFile ||
		got.Command != binary || got.Superblock == nil || got.Superblock.Cluster.String() != "7" || got.Started.IsZero() {
		t.Errorf("got %+v", got)
	}

	standin.Replace(t, binary, standin.Binary(t, "0.17.8", "0.17.6", "0.17.7v"))
	p.Must("releases_bundled new: [0.17.6 0.17.7]")
	got = only(t, binary)
	checkRunning(t, got, "0.17.6", replica.SourceExecutable, true, replica.OriginReplaced)
	checkOffered(t, got, "0.17.6", "0.17.7")
	if got.Armed.Current != testbin.Release("0.17.8") || got.Armed.Newest() != testbin.Release("0.17.7") {
		t.Errorf("armed %+v", got.Armed)
	}

	// Held at the visit: replace the file with one that goes no further.
	standin.Replace(t, binary, standin.Binary(t, "0.17.7", "0.17.5", "0.17.6"))
	p.Must("releases_bundled new: [0.17.5 0.17.6 0.17.7]")
	if err := os.WriteFile(permit, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.Must("0.17.7: listening")
	if err := os.Remove(permit); err != nil {
		t.Fatal(err)
	}
	got = only(t, binary)
	checkRunning(t, got, "0.17.7", replica.SourceExecutable, true, replica.OriginMemory)
	checkOffered(t, got, "0.17.5", "0.17.6", "0.17.7")
}

// A past release executes from memory as a plain executable.
func TestFindPastRelease(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Replace(t, binary, standin.Binary(t, "0.17.8", "0.17.5", "0.17.6"))
	p := standin.Start(t, binary, dataFile, standin.Options{})
	p.Must("0.17.6: listening")
	finder := replica.NewFinder(binary, replica.Options{})
	for range 2 { // the second time the checksum is remembered
		view, err := finder.Find(t.Context())
		found := view.Processes
		if err != nil || len(found) != 1 {
			t.Fatalf("found %+v, %v", found, err)
		}
		checkRunning(t, found[0], "0.17.6", replica.SourcePack, true, replica.OriginMemory)
		checkOffered(t, found[0], "0.17.5", "0.17.6", "0.17.8")
	}

	// Its release stays known though the file at the path is something else now.
	if err := os.WriteFile(binary+".x", []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(binary+".x", binary); err != nil {
		t.Fatal(err)
	}
	p.Must("binary does not contain valid multiversion data")
	checkRunning(t, only(t, binary), "0.17.6", replica.SourcePack, true, replica.OriginMemory)
	if err := os.Remove(binary); err != nil {
		t.Fatal(err)
	}
	checkRunning(t, only(t, binary), "0.17.6", replica.SourcePack, true, replica.OriginMemory)
}

// Upstream's procedure moves the binary aside before the new one is there.
func TestFindMovedAside(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Start(t, binary, dataFile, standin.Options{})
	if err := os.Rename(binary, binary+"-old"); err != nil {
		t.Fatal(err)
	}
	checkRunning(t, only(t, binary), "0.17.6", replica.SourceExecutable, true, replica.OriginReplaced)
	if err := os.Rename(binary+"-old", filepath.Join(filepath.Dir(binary), "elsewhere")); err != nil {
		t.Fatal(err)
	}
	checkRunning(t, only(t, binary), "0.17.6", replica.SourceExecutable, true, replica.OriginReplaced)
}

func TestFindThroughSymlink(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	link := filepath.Join(t.TempDir(), "tb")
	if err := os.Symlink(binary, link); err != nil {
		t.Fatal(err)
	}
	standin.Start(t, link, dataFile, standin.Options{})
	checkRunning(t, only(t, link), "0.17.6", replica.SourceExecutable, true, replica.OriginTarget)
	checkRunning(t, only(t, binary), "0.17.6", replica.SourceExecutable, true, replica.OriginTarget)
}

func TestFindOthers(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	p := standin.Run(t, binary, standin.Options{}, "wait")
	p.Must("waiting")
	if got := only(t, binary); got.Replica || got.Subcommand != "wait" || got.Running.Release != 0 || got.Superblock != nil {
		t.Errorf("got %+v", got)
	}
	p.Kill()

	for _, flag := range []string{"--development", "--addresses=0"} {
		p := standin.Start(t, binary, dataFile, standin.Options{Args: []string{flag}})
		if got := only(t, binary); got.Polls || got.NoPolling != flag {
			t.Errorf("%s: got %+v", flag, got)
		}
		p.Kill()
	}
	if found, err := replica.Find(t.Context(), binary, replica.Options{}); err != nil || len(found.Processes) != 0 {
		t.Errorf("after all have ended: %+v, %v", found, err)
	}
}

func TestFindRelativeDataFile(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	shell := exec.Command("sh", "-c", `cd "$1" && exec "$2" start --addresses=`+standin.Addresses(1)+` "$3"`, "sh", filepath.Dir(dataFile), binary, filepath.Base(dataFile))
	output, err := shell.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shell.Process.Kill(); shell.Wait() })
	if _, err := output.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	got := only(t, binary)
	checkRunning(t, got, "0.17.6", replica.SourceExecutable, true, replica.OriginTarget)
	if got.DataFile != filepath.Base(dataFile) {
		t.Errorf("data file %q", got.DataFile)
	}
}

func TestFindDamagedDataFile(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Start(t, binary, dataFile, standin.Options{})
	if err := os.Truncate(dataFile, 0); err != nil {
		t.Fatal(err)
	}
	got := only(t, binary)
	if got.Running.Release != testbin.Release("0.17.6") || got.Running.Certain || got.Running.Note == "" ||
		len(got.Unreadable) != 1 || got.Unreadable[0].What != "data file" {
		t.Errorf("running %+v, unreadable %+v", got.Running, got.Unreadable)
	}
}
