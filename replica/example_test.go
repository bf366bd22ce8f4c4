package replica_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
	"github.com/tbctl/tbctl/replica"
)

// A replica that runs 0.17.7 and has offered 0.17.8 already refuses the older file, as upstream's does.
func ExampleAccepts() {
	running, offered := testbin.Release("0.17.7"), []multiversion.Release{testbin.Release("0.17.7"), testbin.Release("0.17.8")}
	for _, file := range []*pack.Result{packed("0.17.8", "0.17.6", "0.17.7"), packed("0.17.7", "0.17.6")} {
		err := replica.Accepts(&file.Binary().Images[0].Header, running, offered)
		if refusal, ok := errors.AsType[*replica.Refusal](err); ok {
			fmt.Println("refused, for want of", refusal.Missing)
		} else {
			fmt.Println("accepted")
		}
	}
	// Output:
	// accepted
	// refused, for want of 0.17.8
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
