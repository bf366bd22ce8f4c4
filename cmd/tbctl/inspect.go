package main

import (
	"fmt"

	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/internal/interrupt"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/report"
)

type inspectCmd struct {
	Files   []string               `arg:"" name:"file" help:"Binaries, release archives (.zip), data files, artifacts of the store (sha256:HEX), or - for standard input."`
	Store   storeFlags             `embed:""`
	Running []multiversion.Release `placeholder:"RELEASE" help:"Show what a replica that runs this release would be offered, and where it must stop."`
}

// Help is the long help text.
func (c *inspectCmd) Help() string {
	return `Reads only the few KiB that describe the file: nothing here proves that it is
whole, see "tbctl verify".

Examples:

  tbctl inspect /usr/local/bin/tigerbeetle
  tbctl inspect tigerbeetle-x86_64-linux.zip --running 0.17.6
  tbctl inspect /var/lib/tigerbeetle/0_0.tigerbeetle
  ssh host cat /usr/local/bin/tigerbeetle | tbctl inspect -
` + exitHelp(exitRejected, "a file is not a multiversion binary")
}

// Run inspects each file, and fails if any could not be.
func (c *inspectCmd) Run(a *app) error {
	var results []report.InspectedFile
	var failures []error
	for index, name := range c.Files {
		result, err := c.inspect(a, name)
		if err != nil {
			failure := classify(a, err)
			result.Error = failure.document()
			failures = append(failures, err)
			if len(c.Files) > 1 && !a.global.JSON {
				a.labelled(a.err.Styles().Bad.Render("error:"), failure.message)
			}
		}
		results = append(results, result)
		a.advise(result.Advisories)
		if !a.global.JSON && err == nil {
			if index > 0 {
				a.out.Println()
			}
			render.Inspected(a.out, result)
		}
		if interrupt.Cause(a.ctx) != nil {
			break
		}
	}
	a.emit(report.Inspected{Files: results, AdvisoryList: a.allAdvisories().Edition()}, nil)
	switch len(failures) {
	case 0:
		return nil
	case 1:
		return failures[0]
	}
	return fmt.Errorf("%d of %d files could not be inspected, the first: %w", len(failures), len(c.Files), failures[0])
}

func (c *inspectCmd) inspect(a *app, name string) (report.InspectedFile, error) {
	file, _, err := openStored(a, name, c.Store.Store)
	if err != nil {
		return report.InspectedFile{File: name}, err
	}
	defer file.Close()
	result, err := report.Inspect(a.ctx, name, file, a.allAdvisories(), c.Running...)
	result.Archive = file.Archive
	return result, input.OfFile(name, err)
}
