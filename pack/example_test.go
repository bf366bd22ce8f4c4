package pack_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
)

// Two releases, each built on the one before.
func ExampleBuild() {
	executable := func(release string) []pack.Source {
		return []pack.Source{bytes.NewReader(tinyelf.Build(multiversion.ArchX86_64, release))}
	}
	options := func(release string) pack.Options {
		number := testbin.Release(release)
		return pack.Options{Release: number, Commit: testbin.Commit(number), ClientMin: number, Current: executable(release)}
	}
	first := options("0.15.5")
	first.Plain = []pack.Plain{pack.Epoch(executable("0.15.3")...)}
	built, err := pack.Build(context.Background(), first)
	if err != nil {
		fmt.Println(err)
		return
	}
	second := options("0.15.6")
	second.Past = built.Binary()
	if built, err = pack.Build(context.Background(), second); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(built.Binary().Platform(), built.Binary().Images[0].Header.Releases())
	// Output: x86_64-linux [0.15.3 0.15.5 0.15.6]
}
