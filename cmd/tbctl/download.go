package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/verify"
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
		name = downloadName(artifact)
	}
	a.about.Target = name
	if name == "-" {
		return usage("name a file, such as -o "+downloadName(artifact), "-o -: an executable is written to a file")
	}
	if err := checkOutput(name); err != nil {
		return err
	}
	there, err := c.there(a, name, artifact)
	if err != nil {
		return err
	}
	output, err := c.draft(name, there != "")
	if err != nil {
		return err
	}
	defer output.close()
	fetched, report, err := c.fetch(a, artifact, output)
	if err != nil {
		return err
	}
	if there != "" { // it may have changed meanwhile
		if there, err = c.there(a, name, artifact); err != nil {
			return err
		}
	}
	advisories := advisory.Of(advisory.Subject{
		About: advisory.AboutFile, Release: report.Binary.Current(), SHA256: []string{report.SHA256, fetched.AssetSHA256}, Tag: string(fetched.Tag),
	})
	a.advise(advisories)
	switch {
	case there == "":
		err = output.commit(a)
	case there != report.SHA256:
		err = &fs.PathError{Op: "download", Path: name, Err: fs.ErrExist}
	default:
		a.tellMode(name)
	}
	if err != nil {
		return err
	}
	result := downloaded{Path: output.path, Already: there != "", Fetched: fetched, Report: report, Advisories: advisories}
	a.emit(result, func(out *term.Stream) {
		renderDownloaded(out, result)
		if !result.Already && !a.global.Quiet {
			fields := [][2]string{{"from", term.Printable(artifact.Location)}, {"trust", render.Trust(originOf(artifact, fetched))}}
			if text := render.Fetched(fetched.BytesFetched, fetched.BytesHeld); text != "" {
				fields = append(fields, [2]string{"fetched", text})
			}
			render.Fields(out, append(fields, [2]string{"sha256", report.SHA256}, [2]string{"size", fmt.Sprintf("%s (%d bytes)", term.Bytes(report.Size), report.Size)}))
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

// fetch writes the executable to the output, and verifies what is there then.
func (c *downloadCmd) fetch(a *app, artifact release.Artifact, output *downloadDraft) (release.Fetched, verify.Report, error) {
	fetched, err := a.fetch(a.ctx, artifact, output)
	if err != nil {
		return fetched, verify.Report{}, err
	}
	report, err := verify.File(a.ctx, output, output.Size(), verify.Options{SHA256: true})
	if err == nil && !report.Ok {
		err = rejected(a.known().Findings(), fmt.Errorf("%s: %s", artifact.Location, report.Diagnosis))
	}
	if err == nil {
		err = asked(artifact, report)
	}
	return fetched, report, err
}

// there returns the SHA-256 of a file that is there and may be what is asked for, so that
// it is compared with what comes; "" if none is there, or it is to be replaced. Any other
// file is in the way: the error matches fs.ErrExist.
func (c *downloadCmd) there(a *app, name string, artifact release.Artifact) (string, error) {
	_, err := vfs.Lstat(name)
	if c.Force || errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil { // whatever is there, it is not in the way
		return "", &fs.PathError{Op: "create", Path: name, Err: errors.Unwrap(err)}
	}
	exists := &fs.PathError{Op: "download", Path: name, Err: fs.ErrExist}
	file, err := input.Open(name)
	if errors.Is(err, input.ErrDirectory) {
		return "", usage("name the file: -o "+shell.File(filepath.Join(name, downloadName(artifact))), "%w", err)
	}
	if err != nil {
		return "", exists
	}
	defer file.Close()
	report, err := verify.File(a.ctx, file, file.Size(), verify.Options{SHA256: true})
	if a.ctx.Err() != nil {
		return "", err
	}
	if err != nil || !report.Ok || asked(artifact, report) != nil {
		return "", exists
	}
	return report.SHA256, nil
}

// asked compares what came with what was asked for.
func asked(artifact release.Artifact, report verify.Report) error {
	want, err := expected(artifact.Tag)
	if err != nil {
		return err
	}
	if artifact.Tag != "" && report.Platform != artifact.Platform {
		return rejected("the source serves another platform under this name", fmt.Errorf("%s: it is for %s, not %s as asked for", artifact.Location, report.Platform, artifact.Platform))
	}
	current := report.Binary.Current()
	if len(want) == 0 || slices.Contains(want, current) {
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

// downloadDraft is where a download goes: nowhere for as long as it is what is at the name
// already, which takes no room then and no right to write.
type downloadDraft struct {
	*durable.Draft
	path  string
	there *input.File // nil: nothing is there, or it is to be replaced
}

func (c *downloadCmd) draft(name string, compare bool) (*downloadDraft, error) {
	d := &downloadDraft{path: name}
	var size int64
	var existing io.ReaderAt
	if compare {
		there, err := input.Open(name)
		if err != nil {
			return nil, err
		}
		d.there, existing, size = there, there, there.Size()
	}
	var err error
	d.Draft, err = durable.NewDraft(existing, size, func() (durable.Store, error) {
		output, err := durable.Create(vfs.OS(), name, executableMode, c.Force || compare)
		if err != nil {
			return nil, err
		}
		d.path = output.Path()
		return output, nil
	})
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// commit puts what came at its name.
func (d *downloadDraft) commit(a *app) error {
	if err := d.Keep(); err != nil {
		return err
	}
	return a.commit(d.Store().(*durable.Output))
}

func (d *downloadDraft) close() {
	_ = d.Abort() // the next download of the name removes what stays
	if d.there != nil {
		d.there.Close()
	}
}
