//go:build linux

package standin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/internal/standin"
)

// cluster is the members of one that runs, in the order of their index.
type cluster struct {
	processes           []*standin.Process
	binaries, dataFiles []string
	args                []string
	churn, commits      string
}

func startCluster(t *testing.T, binary []byte, count, standbys int) *cluster {
	t.Helper()
	c := &cluster{args: []string{"--addresses=" + standin.Addresses(count+standbys)}, churn: filepath.Join(t.TempDir(), "churn"), commits: filepath.Join(t.TempDir(), "commits")}
	for index := range count + standbys {
		path, dataFile := standin.InstallMember(t, binary, index, count)
		c.binaries, c.dataFiles = append(c.binaries, path), append(c.dataFiles, dataFile)
		c.processes = append(c.processes, nil)
		c.start(t, index)
	}
	return c
}

func (c *cluster) start(t *testing.T, index int) {
	t.Helper()
	options := standin.Options{Upgrade: "cluster", Args: c.args}
	if index == 1 {
		options.Churn, options.Commits = c.churn, c.commits
	}
	c.processes[index] = standin.Start(t, c.binaries[index], c.dataFiles[index], options)
}

// The last swap is the promotion: until then nothing happens, and then all upgrade.
func TestClusterUpgrades(t *testing.T) {
	t.Parallel()
	after := standin.Binary(t, "0.17.8", "0.17.6", "0.17.7")
	for _, size := range []struct{ count, standbys int }{{1, 0}, {3, 0}, {6, 1}} {
		c := startCluster(t, standin.Binary(t, "0.17.7", "0.17.6"), size.count, size.standbys)
		for index := range c.binaries {
			if index == size.count-1 {
				continue // the holdback
			}
			standin.Replace(t, c.binaries[index], after)
			c.processes[index].Must("0.17.7: releases_bundled new: [0.17.6 0.17.7 0.17.8]")
		}
		for index, p := range c.processes {
			if strings.Contains(p.Log(), "upgrade:") || durable(t, c.dataFiles[index]) != "0.17.7" {
				t.Fatalf("replica %d of %d upgrades without the last one:\n%s", index, size.count, p.Log())
			}
		}
		standin.Replace(t, c.binaries[size.count-1], after)
		for index, p := range c.processes {
			p.Must("0.17.8: listening")
			if got := durable(t, c.dataFiles[index]); got != "0.17.8" {
				t.Errorf("replica %d: durable release %s", index, got)
			}
		}
	}
}

// Before 0.16.16 all but one are enough.
func TestClusterOldQuorum(t *testing.T) {
	t.Parallel()
	c := startCluster(t, standin.Binary(t, "0.16.14", "0.16.13"), 3, 0)
	after := standin.Binary(t, "0.16.15", "0.16.13", "0.16.14")
	for index := range 2 {
		standin.Replace(t, c.binaries[index], after)
	}
	for index := range 2 {
		c.processes[index].Must("0.16.15: listening")
	}
	c.processes[2].Must("release 0.16.15 is not available")
}

// An offer is remembered when the one that made it has died: the cluster upgrades, and it follows.
func TestClusterRemembersOffers(t *testing.T) {
	t.Parallel()
	c := startCluster(t, standin.Binary(t, "0.17.7", "0.17.6"), 3, 0)
	after := standin.Binary(t, "0.17.8", "0.17.6", "0.17.7")
	standin.Replace(t, c.binaries[2], after)
	c.processes[2].Must("releases_bundled new")
	standin.Replace(t, c.binaries[1], after)
	c.processes[1].Must("releases_bundled new")
	c.processes[0].Must("replica 2 offers [0.17.6 0.17.7 0.17.8]")
	c.processes[2].Kill()
	standin.Replace(t, c.binaries[0], after)
	c.processes[0].Must("0.17.8: listening")
	c.processes[1].Must("0.17.8: listening")
	c.start(t, 2)
	c.processes[2].Must("0.17.8: listening")
}

// The next replica is primary when one is silent, and its view is durable; a file can make the view change again and again.
func TestClusterView(t *testing.T) {
	t.Parallel()
	c := startCluster(t, standin.Binary(t, "0.17.7", "0.17.6"), 3, 0)
	c.processes[0].Kill()
	c.processes[1].Must(": view ") // 1, or a later one where both of them were kept waiting
	c.processes[2].Must(": view ")
	c.start(t, 0)
	c.processes[0].Must(": view ")
	if err := os.WriteFile(c.churn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.processes[2].Must("view 5, primary 2")
}

// One that hears no majority keeps its view, and checkpoints as far as it is told that it has committed.
func TestClusterAlone(t *testing.T) {
	t.Parallel()
	c := startCluster(t, standin.Binary(t, "0.17.7", "0.17.6"), 3, 0)
	c.processes[0].Kill()
	c.processes[2].Kill()
	if err := os.WriteFile(c.commits, []byte("2000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.processes[1].Must("minute 4") // longer than a silent primary is waited for
	superblock, err := datafile.ReadFile(t.Context(), c.dataFiles[1])
	if err != nil || superblock.CheckpointOp != 1920 || superblock.CommitMax != 2000 || strings.Contains(c.processes[1].Log(), ": view ") {
		t.Errorf("%v, %+v:\n%s", err, superblock, c.processes[1].Log())
	}
}
