package extract_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tbctl/tbctl/extract"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
)

// A past release is taken out, and compared with its checksum on the way.
func ExampleOpen() {
	executable, err := extract.Open(packed("0.17.8", "0.17.7").Binary(), "", testbin.Release("0.17.7"))
	if err != nil {
		fmt.Println(err)
		return
	}
	var file bytes.Buffer
	written, err := executable.Copy(context.Background(), &file)
	fmt.Println(executable.Release, written == executable.Size, err)
	// Output: 0.17.7 true <nil>
}

// Everything that a binary holds is compared with the checksums in its header.
func ExampleAll() {
	executables, err := extract.All(packed("0.17.8", "0.17.6", "0.17.7").Binary(), "")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, executable := range executables {
		fmt.Println(executable.Release, executable.Current, executable.Verify(context.Background()))
	}
	// Output:
	// 0.17.6 false <nil>
	// 0.17.7 false <nil>
	// 0.17.8 true <nil>
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
