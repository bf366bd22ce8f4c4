//go:build linux

package program

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
	"golang.org/x/sys/unix"
)

const (
	memfdName = "tigerbeetle-multiversion-1768a738-ef69-4605-8b5c-c6e63580e345"
	sizeMax   = 64 << 20 // of the binary, and of the memory file

	holdPause = 5 * time.Millisecond
)

// previous is what the last look at the binary's inode saw.
type previous int

const (
	previousNone previous = iota
	previousStat
	previousError
)

type replica struct {
	release  multiversion.Release
	exe      string // the binary on disk
	memory   int    // the descriptor of the memory file
	dataFile string
	member   member
	peers    peers

	memberLock sync.Mutex           // of member.view, which pongs have
	clients    multiversion.Release // the oldest that it answers, 0 if its binary does not tell

	header  *multiversion.Header // of what is in memory
	body    int64                // offset of its pack
	bundled []multiversion.Release

	seen    previous
	stat    unix.Stat_t
	refused string

	log *log.Logger
}

func start(args []string) error {
	values, path := flags(args)
	r := &replica{release: release(), dataFile: path, peers: peers{open: make(map[*os.File]struct{}), received: make(chan offer, receivedQueue)}, log: log.New(os.Stderr, fmt.Sprintf("%d %s: ", os.Getpid(), release()), log.Lmicroseconds|log.Lmsgprefix)}
	r.step("started")
	if err := r.open(); err != nil {
		return err
	}
	if err := r.transition(); err != nil {
		return err
	}
	r.step("opening")
	if err := r.listen(values["addresses"]); err != nil {
		return err
	}
	clustered := os.Getenv("STANDIN_UPGRADE") == "cluster"
	if clustered {
		r.connect(values["addresses"])
	}
	r.log.Printf("listening, releases_bundled: %v", r.bundled)
	r.step("listening")
	_, development := values["development"]
	if development || values["addresses"] == "0" {
		time.Sleep(time.Hour) // it never looks at its binary again
	}
	if clustered {
		return r.participate()
	}
	for {
		time.Sleep(interval())
		r.look()
		if err := r.upgrade(); err != nil {
			return err
		}
	}
}

func interval() time.Duration {
	if interval, err := time.ParseDuration(os.Getenv("STANDIN_POLL")); err == nil {
		return interval
	}
	return 20 * time.Millisecond
}

// step names a moment, and stays or ends the process there if it has been told so.
func (r *replica) step(name string) {
	if dir := os.Getenv("STANDIN_HOLD"); dir != "" {
		place := filepath.Join(dir, r.release.String()+":"+name)
		for said := false; ; said = true {
			if _, err := os.Stat(place); err != nil {
				break
			}
			if !said {
				r.log.Printf("held at %s", name)
			}
			time.Sleep(holdPause)
		}
	}
	if os.Getenv("STANDIN_DIE") == r.release.String()+":"+name {
		r.log.Printf("dies at %s", name)
		unix.Kill(os.Getpid(), unix.SIGKILL)
		time.Sleep(time.Hour)
	}
}

// open finds its own path and reads the binary for the first time.
func (r *replica) open() error {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	if r.exe = exe; strings.HasPrefix(exe, "/memfd:"+memfdName) {
		r.exe = os.Args[0]
	}
	if r.memory, err = unix.MemfdCreate(memfdName, unix.MFD_CLOEXEC); err != nil {
		return err
	}
	if err := unix.Ftruncate(r.memory, sizeMax); err != nil {
		return err
	}
	r.look()
	if r.header == nil {
		r.bundled = []multiversion.Release{r.release}
	} else if r.header.Current.Release == r.release {
		r.clients = r.header.Current.ClientMin
	} else if index := r.header.PastIndex(r.release); index >= 0 {
		r.clients = r.header.Past[index].ClientMin
	}
	return nil
}

// transition executes the release of the data file if it is another one.
func (r *replica) transition() error {
	superblock, err := datafile.ReadFile(context.Background(), r.dataFile)
	if err != nil {
		return err
	}
	if superblock.Release == r.release {
		r.member = member{
			cluster: superblock.Cluster, index: superblock.ReplicaIndex, count: int(superblock.ReplicaCount),
			view: superblock.View, checkpoint: superblock.CheckpointOp, standby: superblock.Standby,
		}
		return nil
	}
	r.log.Printf("release_transition: %s to %s", r.release, superblock.Release)
	return r.execute(superblock.Release)
}

// upgrade changes to the newest release on offer, once it may.
func (r *replica) upgrade() error {
	target := slices.Max(r.bundled)
	if target <= r.release || !mayUpgrade(target) {
		return nil
	}
	if err := r.checkpoint(target); err != nil {
		return err
	}
	r.step("checkpointed")
	return r.transition()
}

func mayUpgrade(target multiversion.Release) bool {
	switch when := os.Getenv("STANDIN_UPGRADE"); when {
	case "", "never":
		return false
	case "now":
		return true
	default:
		permit, err := os.ReadFile(when)
		if err != nil || len(permit) == 0 {
			return err == nil
		}
		last, err := multiversion.ParseRelease(string(permit))
		return err == nil && target <= last
	}
}

// execute never returns without an error.
func (r *replica) execute(target multiversion.Release) error {
	if !slices.Contains(r.bundled, target) {
		r.log.Printf("release_execute: release %s is not available; upgrade (or downgrade) the binary", target)
		return errors.New("release not available")
	}
	if target > r.release {
		r.log.Printf("executing current release %s (target: %s) via %s...", r.header.Current.Release, target, r.exe)
		r.step("execute-current")
		return r.executeMemory()
	}
	index := r.header.PastIndex(target)
	if index < 0 {
		return errors.New("binary changed unexpectedly")
	}
	past := r.header.Past[index]
	executable := make([]byte, past.Size)
	if _, err := unix.Pread(r.memory, executable, r.body+int64(past.Offset)); err != nil {
		return err
	}
	if _, err := unix.Pwrite(r.memory, executable, 0); err != nil {
		return err
	}
	if err := unix.Ftruncate(r.memory, int64(past.Size)); err != nil {
		return err
	}
	if sum := multiversion.ChecksumOf(executable); sum != past.Checksum {
		return fmt.Errorf("checksum of past release %s is %s, want %s", target, sum, past.Checksum)
	}
	r.log.Printf("executing internal release %s via %s...", target, r.exe)
	r.step("execute-past")
	return r.executeMemory()
}

func (r *replica) executeMemory() error {
	args := append([]string{r.exe}, os.Args[1:]...)
	return unix.Exec(fmt.Sprintf("/proc/self/fd/%d", r.memory), args, os.Environ())
}
