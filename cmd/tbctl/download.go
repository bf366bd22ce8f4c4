package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/internal/fetch"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/internal/output"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/verify"
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

// downloaded is the result of the command.
type downloaded struct {
	Path    string          `json:"path"`
	Already bool            `json:"already"` // the same bytes were there, and stay
	Fetched release.Fetched `json:"fetched"`
	Report  verify.Report   `json:"report"`

	Advisories []advisory.Notice `json:"advisories"` // what is known of the release
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
	if err := output.Check(name); err != nil {
		return err
	}
	result, err := c.write(a, artifact, name)
	if errors.Is(err, input.ErrDirectory) {
		return usage("name the file: -o "+shell.File(filepath.Join(name, artifact.FileName())), "%w", err)
	}
	if err != nil {
		return err
	}
	a.emit(result, func(out *term.Stream) {
		renderDownloaded(out, result)
		if !result.Already && !a.global.Quiet {
			fields := [][2]string{{"from", term.Printable(artifact.Location)}, {"trust", render.Trust(fetch.Origin(artifact, result.Fetched))}}
			if text := render.Fetched(result.Fetched.BytesFetched, result.Fetched.BytesHeld); text != "" {
				fields = append(fields, [2]string{"fetched", text})
			}
			render.Fields(out, append(fields, [2]string{"sha256", result.Report.SHA256}, [2]string{"size", fmt.Sprintf("%s (%d bytes)", term.Bytes(result.Report.Size), result.Report.Size)}))
		}
	})
	return nil
}

func renderDownloaded(out *term.Stream, result downloaded) {
	what := fmt.Sprintf("release %s for %s", result.Report.Binary.Current(), result.Report.Platform)
	if result.Already {
		out.Printf("%s %s is %s already; nothing was touched\n", out.Styles().Good.Render("ok:"), term.Printable(result.Path), what)
		return
	}
	out.Printf("%s %s, %s\n", out.Styles().Good.Render("downloaded:"), term.Printable(result.Path), what)
}

// write fetches into the file, verifies what is there then, and puts it at its name.
func (c *downloadCmd) write(a *app, artifact release.Artifact, name string) (downloaded, error) {
	draft, err := output.NewDraft(a.ctx, name, c.Force, fetch.Judgement(artifact, artifact.Location))
	if err != nil {
		return downloaded{}, err
	}
	defer draft.Close()
	fetched, err := a.fetch(a.ctx, artifact, draft)
	if err != nil {
		return downloaded{}, err
	}
	report, err := draft.Verify(a.ctx)
	if err != nil {
		return downloaded{}, err
	}
	advisories := a.advisories().Of(advisory.Subject{
		About: advisory.AboutFile, Release: report.Binary.Current(), SHA256: []string{report.SHA256, fetched.AssetSHA256}, Tag: string(fetched.Tag),
	})
	a.advise(advisories)
	err = draft.Commit(report, a.warnText)
	return downloaded{Path: draft.Path(), Already: draft.Already(), Fetched: fetched, Report: report, Advisories: advisories}, err
}
