//go:build unix

package install_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
	"github.com/tbctl/tbctl/vfs"
)

// A binary is installed, then one that does not go with it is refused.
func ExampleInstaller_Install() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	installer := &install.Installer{
		FS: vfs.OS(), Journal: &install.Journal{FS: vfs.OS(), Dir: filepath.Join(dir, "state")}, Command: "example",
	}
	request := install.Request{Target: filepath.Join(dir, "tigerbeetle")}
	for _, file := range []*pack.Result{packed("0.17.7", "0.17.6"), packed("0.17.8", "0.17.7"), packed("9.0.0", "8.0.0")} {
		fetch := func(_ context.Context, w io.Writer) (install.Origin, error) {
			_, err := file.WriteTo(w)
			return install.Origin{Source: "example"}, err
		}
		outcome, err := installer.Install(context.Background(), request, fetch)
		fmt.Println(outcome.Result, outcome.Plan.New.Release, err != nil)
	}
	history, err := installer.Journal.Read("")
	fmt.Println(len(history.Records), "records", err)
	// Output:
	// installed 0.17.7 false
	// installed 0.17.8 false
	// refused 9.0.0 true
	// 3 records <nil>
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
