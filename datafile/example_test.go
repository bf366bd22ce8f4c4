package datafile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/internal/standin/zone"
	"github.com/tbctl/tbctl/multiversion"
)

// The release that a data file was last checkpointed with. A binary for it must hold that release.
func ExampleRead() {
	written := datafile.Superblock{
		Version: 2, Sequence: 3, Cluster: datafile.NewID(7), ReplicaCount: 3,
		ReleaseFormat: multiversion.NewRelease(0, 17, 0), Release: multiversion.NewRelease(0, 17, 8),
	}
	raw, err := zone.Encode(&written)
	if err != nil {
		fmt.Println(err)
		return
	}
	raw[700] ^= 1 // one copy is damaged; the three others agree
	superblock, err := datafile.Read(context.Background(), bytes.NewReader(raw[:]))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(superblock.Release, superblock.Copies[0].Valid, superblock.Copies[1].Valid)
	// Output: 0.17.8 false true
}

// What a file is, from its first 4 KiB.
func ExampleLooks() {
	superblock := datafile.Superblock{Version: 2, Sequence: 1, ReplicaCount: 1, Release: multiversion.NewRelease(0, 17, 8)}
	raw, err := zone.Encode(&superblock)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(datafile.Looks(raw[:datafile.HeaderSize]))
	fmt.Println(datafile.Looks(make([]byte, datafile.HeaderSize)))
	// Output:
	// true
	// false
}

// Only a regular file or a block device is read.
func ExampleReadFile() {
	_, err := datafile.ReadFile(context.Background(), ".")
	fmt.Println(err, errors.Is(err, datafile.ErrFileKind))
	// Output: open .: neither a regular file nor a block device true
}
