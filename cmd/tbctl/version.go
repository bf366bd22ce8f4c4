package main

import (
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/tbctl/tbctl/internal/term"
)

type versionCmd struct{}

// versionFlag is --version, an alias of the command.
type versionFlag bool

// BeforeReset prints the version and ends the parse, whatever else was asked for.
func (versionFlag) BeforeReset(parser *kong.Kong) error {
	if _, err := io.WriteString(parser.Stdout, readVersion().String()); err != nil {
		return err
	}
	parser.Exit(0)
	return nil
}

// buildVersion is set by the linker in release builds.
var buildVersion string

// versionInfo is what tbctl says of itself.
type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Time     string `json:"commit_time,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Run prints the version.
func (c *versionCmd) Run(a *app) error {
	info := readVersion()
	a.emit(info, func(out *term.Stream) {
		out.Printf("%s\n", out.Lines(strings.Split(strings.TrimSpace(info.String()), "\n")...))
	})
	return nil
}

// String is the version as a person sees it, in two or three lines.
func (v versionInfo) String() string {
	text := "tbctl " + v.Version + "\n"
	if v.Commit != "" {
		text += "commit " + v.Commit + " " + v.Time + "\n"
	}
	return text + v.Go + " " + v.Platform + "\n"
}

func readVersion() versionInfo {
	info := versionInfo{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if ok {
		if build.Main.Version != "" && build.Main.Version != "(devel)" {
			info.Version = build.Main.Version
		}
		for _, setting := range build.Settings {
			switch setting.Key {
			case "vcs.revision":
				info.Commit = setting.Value
			case "vcs.time":
				info.Time = setting.Value
			case "vcs.modified":
				info.Modified = setting.Value == "true"
			}
		}
	}
	if buildVersion != "" {
		info.Version = buildVersion
	}
	return info
}
