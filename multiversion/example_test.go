package multiversion_test

import (
	"bytes"
	"context"
	"errors"
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

// An upgrade from 0.17.5 must stop at 0.17.6: a replica there is not offered what comes behind it.
func ExampleHeader_Advertisable() {
	header := multiversion.Header{
		Current: multiversion.Current{Release: testbin.Release("0.17.8"), Visit: true},
		Past: []multiversion.Past{
			{Release: testbin.Release("0.17.5")},
			{Release: testbin.Release("0.17.6"), Visit: true},
			{Release: testbin.Release("0.17.7")},
		},
	}
	fmt.Println(header.Advertisable(testbin.Release("0.17.5")))
	fmt.Println(header.Advertisable(testbin.Release("0.17.6")))
	// Output:
	// [0.17.5 0.17.6]
	// [0.17.5 0.17.6 0.17.7 0.17.8]
}

// The stops of an upgrade, one after the other.
func ExampleHeader_VisitStop() {
	header := multiversion.Header{
		Current: multiversion.Current{Release: testbin.Release("0.17.8"), Visit: true},
		Past: []multiversion.Past{
			{Release: testbin.Release("0.17.5"), Visit: true},
			{Release: testbin.Release("0.17.6"), Visit: true},
			{Release: testbin.Release("0.17.7")},
		},
	}
	running := testbin.Release("0.17.4")
	for {
		stop, ok := header.VisitStop(running)
		if !ok {
			break
		}
		fmt.Println("stop at", stop)
		running = stop
	}
	fmt.Println("then", header.Current.Release)
	// Output:
	// stop at 0.17.5
	// stop at 0.17.6
	// then 0.17.8
}

// Each rule of the format is an error that can be asked for.
func ExampleRule() {
	file := packed("0.17.8", "0.17.7")
	half := file.Size() / 2
	_, err := multiversion.Parse(file, half) // as an interrupted copy leaves it
	fmt.Println(errors.Is(err, multiversion.RuleELFSectionTable), multiversion.IsPlain(err))

	plain := tinyelf.Build(multiversion.ArchX86_64, "0.15.3")
	_, err = multiversion.Parse(bytes.NewReader(plain), int64(len(plain)))
	fmt.Println(errors.Is(err, multiversion.RuleNoSections), multiversion.IsPlain(err))

	if failure, ok := errors.AsType[*multiversion.FormatError](err); ok {
		fmt.Println(failure.Rule, failure.Arch)
	}
	// Output:
	// true false
	// true true
	// no-sections x86_64
}

func ExampleParseRelease() {
	release, err := multiversion.ParseRelease("0.17.8")
	fmt.Println(release, release.Minor(), release > multiversion.ReleaseFirst, err)

	_, err = multiversion.ParseRelease("v0.17.8")
	fmt.Println(errors.Is(err, multiversion.ErrRelease), err)
	// Output:
	// 0.17.8 17 true <nil>
	// true not a release: "v0.17.8": want three plain decimal numbers
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
