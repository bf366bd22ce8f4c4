package main

import (
	"errors"
	"path/filepath"

	"github.com/tbctl/tbctl/internal/handover"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/output"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/vfs"
)

type downloadCmd struct {
	Source string      `arg:"" help:"A release (0.17.8, 0.17.5-1, latest), a URL, or a release archive to take the executable out of."`
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

// Run fetches, verifies and writes.
func (c *downloadCmd) Run(a *app) error {
	artifact, err := c.From.resolve(a, c.Source)
	if err != nil {
		return err
	}
	a.adviseTag(artifact)
	name := c.Output
	if name == "" {
		name = artifact.FileName()
	}
	a.about.Target = name
	if name == "-" {
		return usage("name a file, such as -o "+artifact.FileName(), "-o -: an executable is written to a file")
	}
	if err := output.Check(a.ctx, name, a.ownDirs(), c.Source); err != nil {
		return err
	}
	result, err := c.write(a, artifact, name)
	if errors.Is(err, vfs.ErrDirectory) {
		return usage("name the file: -o "+shell.File(filepath.Join(name, artifact.FileName())), "%w", err)
	}
	if err != nil {
		return err
	}
	result.Next = hints.Downloaded(result.Path, result.Report.Platform)
	a.emit(result, func(out *term.Stream) {
		render.Downloaded(out, &result, artifact.Location, render.Trust(handover.Origin(artifact, result.Fetched)), a.global.Quiet)
	})
	return nil
}

// write fetches into the file, verifies what is there then, and puts it at its name.
func (c *downloadCmd) write(a *app, artifact release.Artifact, name string) (result report.Downloaded, err error) {
	draft, err := output.NewDraft(a.ctx, name, c.Force, handover.CheckWanted(artifact, artifact.Location))
	if err != nil {
		return result, err
	}
	defer draft.Close()
	if result.Fetched, err = a.fetch(a.ctx, artifact, draft); err != nil {
		return result, err
	}
	if result.Report, err = draft.Verify(a.ctx); err != nil {
		return result, err
	}
	result.Advisories = a.allAdvisories().Of(result.Fetched.Subject(result.Report.Binary.Current(), result.Report.SHA256))
	a.advise(result.Advisories)
	err = draft.Commit(result.Report, a.warnText)
	result.Path, result.Already = draft.Path(), draft.Already()
	return result, err
}
