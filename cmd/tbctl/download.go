package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/verify"
)

type downloadCmd struct {
	Source string      `arg:"" help:"A release (0.17.8, 0.17.5-1, latest) or a URL."`
	Output string      `short:"o" placeholder:"FILE" help:"Where to write the executable; otherwise tigerbeetle-RELEASE-PLATFORM here."`
	Force  bool        `short:"f" help:"Replace FILE if it exists."`
	From   sourceFlags `embed:""`
}

// Help is the long help text.
func (c *downloadCmd) Help() string {
	return `Fetches a release for hosts without internet, and verifies it before it appears
at its name. The file is the executable itself: install it there with "tbctl
install FILE", or through "ssh host tbctl install - < FILE".

Examples:

  tbctl download 0.17.8
  tbctl download latest --platform aarch64-linux -o tigerbeetle-arm
` + exitHelp(exitRejected, "what came is not whole, not trusted or not what was asked for")
}

// downloaded is the result of the command.
type downloaded struct {
	Path    string          `json:"path"`
	Fetched release.Fetched `json:"fetched"`
	Report  verify.Report   `json:"report"`
}

// Run fetches, verifies and writes.
func (c *downloadCmd) Run(a *app) error {
	artifact, err := c.From.resolve(a, c.Source)
	if err != nil {
		return err
	}
	a.advise(artifact.Tag)
	name := c.Output
	if name == "" {
		name = downloadName(artifact)
	}
	output := &resettable{name: name, force: c.Force}
	defer output.abort()
	if err := output.Reset(); err != nil {
		return err
	}
	a.noteFetch(artifact)
	a.progress.Start("fetching", -1)
	fetched, err := artifact.Fetch(a.ctx, output)
	a.progress.Done()
	if err != nil {
		return err
	}
	report, err := verify.File(a.ctx, output, output.Size(), verify.Options{SHA256: true})
	if err != nil {
		return err
	}
	if !report.Ok {
		return rejected("get it again, or look at it: tbctl verify FILE", fmt.Errorf("%s: %s", artifact.Location, report.Diagnosis))
	}
	if err := c.asked(artifact, report); err != nil {
		return err
	}
	if err := output.Commit(); err != nil {
		return err
	}
	result := downloaded{Path: output.Path(), Fetched: fetched, Report: report}
	a.emit(result, func(out *term.Stream) {
		out.Printf("%s %s, release %s for %s\n", out.Styles().Good.Render("downloaded:"), term.Printable(result.Path),
			report.Binary.Current(), report.Platform)
		renderFields(out, [][2]string{
			{"from", term.Printable(artifact.Location)}, {"trust", trustText(originOf(artifact, fetched))},
			{"sha256", report.SHA256}, {"size", fmt.Sprintf("%s (%d bytes)", term.Bytes(report.Size), report.Size)},
		})
	})
	return nil
}

// asked compares what came with what was asked for.
func (c *downloadCmd) asked(artifact release.Artifact, report verify.Report) error {
	want, err := expected(artifact.Tag)
	if err != nil {
		return err
	}
	if platform := multiversion.Platform(artifact.Platform); artifact.Tag != "" && report.Platform != platform {
		return rejected("the source serves another platform under this name", fmt.Errorf("%s: it is for %s, not %s as asked for", artifact.Location, report.Platform, platform))
	}
	current := report.Binary.Current()
	for _, release := range want {
		if release == current {
			return nil
		}
	}
	if len(want) == 0 {
		return nil
	}
	return rejected("the source serves another release under this name", fmt.Errorf("%s: it is release %s, not %s as asked for", artifact.Location, current, want[0]))
}

// downloadName is the name that a download gets by itself.
func downloadName(artifact release.Artifact) string {
	if artifact.Tag == "" {
		return "tigerbeetle-" + string(artifact.Platform)
	}
	return filepath.Clean("tigerbeetle-" + string(artifact.Tag) + "-" + string(artifact.Platform))
}

// resettable is an output file that can be begun anew.
type resettable struct {
	*fsatomic.Output
	name  string
	force bool
}

// Reset forgets what was written.
func (r *resettable) Reset() error {
	r.abort()
	r.Output = nil
	output, err := fsatomic.Create(fsatomic.OS(), r.name, 0o755, r.force)
	r.Output = output
	return err
}

func (r *resettable) abort() { _ = r.Output.Abort() }

var _ io.Writer = (*resettable)(nil)
