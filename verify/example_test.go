package verify_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
	"github.com/tbctl/tbctl/verify"
)

// A file is checked as a whole: every finding, not only the first that failed.
func ExampleFile() {
	file := packed("0.17.8", "0.17.7")
	content := make([]byte, file.Size())
	if _, err := file.ReadAt(content, 0); err != nil {
		fmt.Println(err)
		return
	}
	content[200] ^= 1 // in the oldest release
	report, err := verify.File(context.Background(), bytes.NewReader(content), int64(len(content)), verify.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, finding := range report.Findings {
		if finding.Status == verify.Failed {
			fmt.Println("failed:", finding.Name)
		}
	}
	fmt.Println("ok:", report.Ok)
	// Output:
	// failed: file-checksum
	// failed: past-checksum
	// ok: false
}

// A replica runs 0.17.6: may this file take the place of the installed one?
func ExampleReplace() {
	installed := verify.Installed{Binary: packed("0.17.6", "0.17.5").Binary()}
	needs := []verify.Need{{Release: testbin.Release("0.17.6"), Why: verify.NeedRunning}}
	for _, next := range []*pack.Result{packed("0.17.8", "0.17.6", "0.17.7"), packed("0.17.9", "0.17.7", "0.17.8")} {
		report := verify.Replace(next.Binary(), installed, verify.ReplaceOptions{Needs: needs})
		fmt.Printf("%v %q\n", report.Ok, report.Diagnosis)
	}
	// Output:
	// true ""
	// false "RunningVersionNotIncluded: the new file lacks release 0.17.6, which a replica runs"
}

// An installed file without multiversion sections, such as 0.15.3, does not say which
// release it is: whoever installed it has to.
func ExampleInstalledFrom() {
	plain := tinyelf.Build(multiversion.ArchX86_64, "0.15.3")
	installed := verify.InstalledFrom(bytes.NewReader(plain), int64(len(plain)), multiversion.ReleaseEpoch)
	fmt.Println(installed.Plain.Release, installed.Binary == nil, installed.Err)

	next := packed("0.15.5", "0.15.3", "0.15.4")
	report := verify.Replace(next.Binary(), installed, verify.ReplaceOptions{})
	fmt.Printf("%v %q\n", report.Ok, report.Diagnosis)
	// Output:
	// 0.15.3 true <nil>
	// true ""
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
