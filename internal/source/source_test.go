package source_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/settings"
	"github.com/tbctl/tbctl/internal/source"
	"github.com/tbctl/tbctl/release"
)

// question is one with these flags on the command line, on a host that has nothing.
func question(dir, command string, options release.Options, given ...string) *source.Question {
	return &source.Question{
		Options: options, Command: command, Line: hints.Line{command}, Target: filepath.Join(dir, "tigerbeetle"), Store: filepath.Join(dir, "store"), Warn: func(string) {},
		Settings: settings.Settings{Config: &config.Config{}, Getenv: func(string) string { return "" }, State: filepath.Join(dir, "state")},
		Flag: func(name string) *settings.Flag {
			return &settings.Flag{Given: strings.Contains(" "+strings.Join(given, " ")+" ", " "+name+" ")}
		},
	}
}

// TestFindRefuses goes through what no artifact can be meant by: which error it is, and what to type instead.
func TestFindRefuses(t *testing.T) {
	t.Parallel()
	const tuf = "tuf+https://releases.internal/tb"
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	long := filepath.Join(dir, "root.json")
	if err := errors.Join(os.WriteFile(file, []byte("text"), 0o644), os.WriteFile(long, bytes.Repeat([]byte{' '}, engine.RootSizeMax+1), 0o644)); err != nil {
		t.Fatal(err)
	}
	loose, empty := filepath.Join(dir, "loose.pub"), filepath.Join(dir, "empty.pub")
	if err := errors.Join(os.WriteFile(loose, []byte("no key"), 0o666), os.Chmod(loose, 0o666), os.WriteFile(empty, []byte(" \n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	signed := release.Options{Platform: "x86_64-linux", Require: release.RequireSignature}
	for name, test := range map[string]struct {
		command, argument string
		options           release.Options
		given             string
		at                source.Elsewhere
		class             fault.Class
		want, hint        string
	}{
		"neither":                      {want: "either a source is named or --from", class: fault.Usage, hint: "tbctl store import 0.17.8"},
		"both":                         {argument: "file.zip", at: source.Elsewhere{From: "oci://a/b"}, want: "either a source is named or --from", class: fault.Usage},
		"a release and a tag":          {argument: "0.17.8", at: source.Elsewhere{From: "oci://a/b:0.17.7"}, want: "--from names a tag or a digest", class: fault.Usage, hint: "--from oci://a/b:0.17.7"},
		"a TUF by another name":        {argument: "latest", at: source.Elsewhere{From: "tuf+http://a/b", PlainHTTP: true}, options: signed, want: "by its number", class: fault.Usage, hint: "--from tuf+http://a/b --plain-http"},
		"a root of nothing":            {argument: "0.17.8", at: source.Elsewhere{Root: file}, want: "--root is of --from", class: fault.Usage, hint: "--root FILE"},
		"without TLS, of nothing":      {argument: "0.17.8", at: source.Elsewhere{PlainHTTP: true}, want: "--plain-http is of --from", class: fault.Usage},
		"no registry":                  {at: source.Elsewhere{From: "https://a/b"}, want: `"https://a/b" does not name a registry`, class: fault.Usage, hint: "oci://HOST"},
		"a password for a registry":    {at: source.Elsewhere{From: "oci://ann:s3cret@h:5/b"}, want: "belong into the name of a registry, h:5", class: fault.Usage, hint: "docker login h:5"},
		"a registry without a key":     {at: source.Elsewhere{From: "oci://a/b"}, options: signed, want: "no public key given", class: fault.Usage, hint: "--public-key FILE"},
		"the newest of a TUF":          {argument: "latest", at: source.Elsewhere{From: tuf}, options: signed, want: `by its number, not "latest"`, class: fault.Usage, hint: "--from " + tuf},
		"a TUF without TLS":            {argument: "0.17.8", at: source.Elsewhere{From: "tuf+http://a/b"}, options: signed, want: "--plain-http", class: fault.Usage},
		"a TUF's root is not there":    {argument: "0.17.8", at: source.Elsewhere{From: tuf, Root: file + "-"}, options: signed, want: file + "-", class: fault.Failed},
		"a TUF's root is too long":     {argument: "0.17.8", at: source.Elsewhere{From: tuf, Root: long}, options: signed, want: engine.ErrTUFLong.Error(), class: fault.Rejected},
		"a file without a key":         {argument: file, options: signed, want: "no public key given", class: fault.Usage},
		"no key":                       {argument: file, options: release.Options{PublicKey: "RWrong"}, want: "key", class: fault.Usage, hint: "begins with RW"},
		"a key that others may write":  {argument: file, options: release.Options{PublicKey: loose}, want: "others may write it", class: fault.Usage, hint: "--public-key " + loose},
		"the same, as it was named":    {argument: file, options: release.Options{PublicKey: loose}, given: "public-key", want: "invalid public key", class: fault.Usage},
		"a key of an empty file":       {argument: file, options: release.Options{PublicKey: empty}, given: "public-key", want: "the file is empty", class: fault.Usage},
		"nothing that can be asked":    {argument: file, options: release.Options{Require: "nothing"}, given: "require", want: "--require: ", class: fault.Usage, hint: "--require digest, or"},
		"the same, of a setting":       {argument: file, options: release.Options{Require: "nothing"}, want: "require, from default: ", class: fault.Usage, hint: "there it is digest"},
		"which asset of a file":        {argument: file, given: "debug", command: "download", want: "--debug chooses an asset of a release", class: fault.Usage, hint: "leave it out"},
		"which platform of a file":     {argument: file, given: "platform", command: "install", want: "--platform chooses an asset", class: fault.Usage},
		"a file by its release":        {argument: file, options: release.Options{AskGitHub: true}, given: "github-digest", command: "install", want: "names none", class: fault.Usage, hint: "tbctl install RELEASE --mirror"},
		"a store that is not there":    {argument: "store:0.17.8", options: signed, given: "store", want: "--store: there is no directory " + dir, class: fault.Usage, hint: "tbctl store list"},
		"the usual one is not there":   {argument: "store:0.17.8", options: signed, want: "has no release 0.17.8", class: fault.Failed},
		"a file that is not there":     {argument: file + "-", want: file + "-", class: fault.Failed},
		"a directory and not a file":   {argument: dir, want: dir, class: fault.Failed},
		"a release with a v before it": {argument: "v0.17.8", want: "v0.17.8", class: fault.Usage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := question(dir, test.command, test.options, test.given).Find(t.Context(), test.argument, test.at)
			if err == nil || fault.Of(err) != test.class || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("class %v, %v; want class %v and %q", fault.Of(err), err, test.class, test.want)
			}
			if told := new(hints.Error); test.hint != "" && (!errors.As(err, &told) || !strings.Contains(told.Hint, test.hint)) {
				t.Errorf("the hint of %v is %q, want %q", err, told.Hint, test.hint)
			}
		})
	}
}

// TestFind holds what is found: a platform that was given is taken as what a file must be for, and a store that nobody named and that is not
// there is told of.
func TestFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	q := question(dir, "download", release.Options{Platform: "x86_64-linux"}, "platform")
	found, err := q.Find(t.Context(), file, source.Elsewhere{})
	if err != nil || found.Path() != file || found.Close() != nil {
		t.Errorf("found %q: %v", found.Path(), err)
	}
	options, err := q.Check()
	if err != nil || !options.ExactPlatform || options.Held != nil {
		t.Errorf("%v: exact %v, held %v", err, options.ExactPlatform, options.Held != nil)
	}
	var warned []string
	q.Warn = func(text string) { warned = append(warned, text) }
	_, err = q.Find(t.Context(), "store:0.17.8", source.Elsewhere{})
	if !errors.Is(err, release.ErrNotFound) || len(warned) != 1 || !strings.Contains(warned[0], "there is no store yet: there is no directory "+dir) {
		t.Errorf("%v, warned %q", err, warned)
	}
}
