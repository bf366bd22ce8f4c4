package inspect_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/multiversion"
)

func ExampleInspect() {
	file, err := os.Open("testdata/elf.bin")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		fmt.Println(err)
		return
	}
	running := multiversion.NewRelease(0, 17, 6)
	report, err := inspect.Inspect(file, info.Size(), inspect.Options{Running: []multiversion.Release{running}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, release := range report.Images[0].Releases {
		fmt.Printf("%s, %d bytes, stop there: %v\n", release.Release, release.Size, release.Visit && !release.Current)
	}
	fmt.Println("offered to 0.17.6:", report.Running[0].Offered)
	// Output:
	// 0.17.6, 119 bytes, stop there: false
	// 0.17.7, 85 bytes, stop there: true
	// 0.17.8, 860 bytes, stop there: false
	// offered to 0.17.6: [0.17.6 0.17.7]
}

// A file is named for what it is, so that an error says what went wrong.
func ExampleDescribe() {
	for _, content := range []string{"Not Found\n", "<!DOCTYPE html><title>404</title>", "#!/bin/sh\n", ""} {
		fmt.Println(inspect.Describe(strings.NewReader(content), int64(len(content))))
	}
	// Output:
	// a text
	// an HTML page
	// a script
	// an empty file
}
