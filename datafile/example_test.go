package datafile_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
)

// The release that a data file was last checkpointed with. A binary for it must hold that release.
func ExampleRead() {
	written := datafile.Superblock{
		Version: 2, Sequence: 3, Cluster: datafile.NewID(7), ReplicaCount: 3,
		ReleaseFormat: multiversion.NewRelease(0, 17, 0), Release: multiversion.NewRelease(0, 17, 8),
	}
	zone, err := written.Encode()
	if err != nil {
		fmt.Println(err)
		return
	}
	zone[700] ^= 1 // one copy is damaged; the three others agree
	superblock, err := datafile.Read(context.Background(), bytes.NewReader(zone[:]), datafile.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(superblock.Release, superblock.Copies[0].Valid, superblock.Copies[1].Valid)
	// Output: 0.17.8 false true
}
