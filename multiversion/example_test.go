package multiversion_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
)

// What a replica would be offered by a binary.
func Example() {
	file := packed("0.17.8", "0.17.6", "0.17.7")
	binary, err := multiversion.Parse(file, file.Size())
	if err != nil {
		fmt.Println(err)
		return
	}
	header := &binary.Images[0].Header
	fmt.Println(binary.Platform(), header.Releases())
	fmt.Println("at 0.17.7:", header.Advertisable(testbin.Release("0.17.7")))
	fmt.Println("holds 0.17.5:", header.Contains(testbin.Release("0.17.5")))
	// Output:
	// x86_64-linux [0.17.6 0.17.7 0.17.8]
	// at 0.17.7: [0.17.6 0.17.7 0.17.8]
	// holds 0.17.5: false
}

func ExampleBinary_ChecksumWithoutHeader() {
	file := packed("0.17.8", "0.17.7")
	binary, err := multiversion.Parse(file, file.Size())
	if err != nil {
		fmt.Println(err)
		return
	}
	checksum, err := binary.ChecksumWithoutHeader(context.Background())
	fmt.Println(checksum == binary.Images[0].Header.ChecksumBinary, err)
	// Output: true <nil>
}

// packed builds a small binary for x86_64-linux out of executables that print their release: the
// release, and past ones.
func packed(release string, past ...string) *pack.Result {
	var executables []pack.Plain
	for _, text := range past {
		executables = append(executables, pack.Plain{
			Release: testbin.Release(text), Commit: testbin.Commit(testbin.Release(text)), ClientMin: testbin.Release("0.15.3"),
			Executables: []pack.Source{bytes.NewReader(tinyelf.Build(multiversion.ArchX86_64, text))},
		})
	}
	result, err := pack.Build(context.Background(), pack.Options{
		Release: testbin.Release(release), Commit: testbin.Commit(testbin.Release(release)), ClientMin: testbin.Release("0.15.3"),
		Current: []pack.Source{bytes.NewReader(tinyelf.Build(multiversion.ArchX86_64, release))}, Plain: executables,
	})
	if err != nil {
		panic(err)
	}
	return result
}
