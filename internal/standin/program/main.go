//go:build linux

// Package program is a stand-in for a TigerBeetle replica: it treats its binary
// and its data file as a replica does, and does nothing else. An executable that it is
// compiled into is one once a release is stamped into it, see [Stamp]. Package standin says how it is
// told what to do.
package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/internal/standin/zone"
	"github.com/tbctl/tbctl/multiversion"
)

// stamp holds the release in its last 8 hexadecimal digits, which [Stamp] writes into the
// finished executable.
var stamp = "stand-in replica of release ........"

const stampDigits = 8

// Stamp returns the executable as the stand-in of a release. It is one that this package is
// compiled into, and that has no release yet.
func Stamp(executable []byte, release multiversion.Release) ([]byte, error) {
	at := bytes.Index(executable, []byte(stamp))
	if at < 0 {
		return nil, errors.New("stamp a stand-in: the executable has no place for a release")
	}
	stamped := slices.Clone(executable)
	copy(stamped[at+len(stamp)-stampDigits:], fmt.Sprintf("%0*x", stampDigits, uint32(release)))
	return stamped, nil
}

// Stamped reports whether this process is to be a stand-in.
func Stamped() bool { return release() != 0 }

func release() multiversion.Release {
	number, err := strconv.ParseUint(stamp[len(stamp)-stampDigits:], 16, 32)
	if err != nil {
		return 0
	}
	return multiversion.Release(number)
}

// Addresses returns the addresses of a cluster, all on this host and nobody else's: the whole
// of 127.0.0.0/8 is the loopback, so that the process's id makes one that no other process has.
func Addresses(port, count int) string {
	pid := os.Getpid() // of 22 bits at most
	var addresses []string
	for index := range count {
		addresses = append(addresses, fmt.Sprintf("127.%d.%d.%d:%d", 0x40|pid>>16, pid>>8&0xff, pid&0xff, port+index))
	}
	return strings.Join(addresses, ",")
}

// Main runs the stand-in with the words of its command line, and returns its exit code.
func Main(args []string) int {
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: start|format|version|wait")
		return 2
	}
	var err error
	switch args[1] {
	case "version":
		fmt.Printf("TigerBeetle version %s\n", release())
	case "multiversion":
		err = judge(args[2:])
	case "format":
		err = format(args[2:])
	case "start":
		err = start(args[2:])
	case "wait": // a process that is no replica
		fmt.Fprintln(os.Stderr, "waiting")
		time.Sleep(time.Hour)
	default:
		err = fmt.Errorf("unknown subcommand %q", args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "panic:", err)
		return 1
	}
	return 0
}

// flags returns the values of --name=value by name, and the last other word.
func flags(args []string) (map[string]string, string) {
	values := make(map[string]string)
	var positional string
	for _, arg := range args {
		if name, ok := strings.CutPrefix(arg, "--"); ok {
			name, value, _ := strings.Cut(name, "=")
			values[name] = value
		} else {
			positional = arg
		}
	}
	return values, positional
}

func number(text string, fallback uint64) uint64 {
	if value, err := strconv.ParseUint(text, 10, 64); err == nil {
		return value
	}
	return fallback
}

// format creates a data file of this release.
func format(args []string) error {
	values, path := flags(args)
	superblock := datafile.Superblock{
		Version: 2, Sequence: 1, Cluster: datafile.NewID(number(values["cluster"], 0)),
		ReplicaIndex: int(number(values["replica"], 0)), ReplicaCount: uint8(number(values["replica-count"], 1)),
		ReplicaID:     datafile.NewID(1000 + number(values["replica"], 0)),
		ReleaseFormat: release(), Release: release(),
	}
	raw, err := zone.Encode(&superblock)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(raw[:])
	return errors.Join(err, file.Close())
}

// superblock is what a data file begins with.
type superblock = datafile.Superblock

// checkpoint writes the superblock that follows, with another release, as a
// replica does when the cluster has agreed on an upgrade.
func (r *replica) checkpoint(target multiversion.Release) error {
	return r.persist(func(s *superblock) {
		s.Release = target
		s.CheckpointOp += checkpointOps
		s.CommitMax = s.CheckpointOp
	})
}

// persist writes the superblock that follows.
func (r *replica) persist(change func(*superblock)) error {
	next, err := datafile.ReadFile(context.Background(), r.dataFile)
	if err != nil {
		return err
	}
	next.Parent = next.Checksum
	next.Sequence++
	change(&next)
	raw, err := zone.Encode(&next)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(r.dataFile, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	for place := range datafile.CopiesCount {
		r.step(fmt.Sprintf("superblock-%d", place))
		offset := place * datafile.CopyStride
		if _, err := file.WriteAt(raw[offset:offset+datafile.CopyStride], int64(offset)); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// judge says what a binary holds, as upstream's command does.
func judge(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: multiversion FILE")
	}
	file, err := multiversion.Open(args[0])
	if err != nil {
		return err
	}
	defer file.Close()
	fmt.Printf("multiversioning.releases_bundled=%v as user %d\n", file.HostImage().Header.Releases(), os.Getuid())
	return nil
}
