package release

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/tbctl/tbctl/vfs"
)

// layout is how a mirror names its assets unless its URL says otherwise.
const layout = "/{tag}/{asset}"

// A mirror is what Options.Mirror means: a directory of this host, or else a URL.
type mirror struct {
	// directory has TAG/ASSET, and unless strict, as when the mirror spells the layout out, ASSET.
	directory string
	strict    bool
	// template is a URL with {asset}, and {tag} unless it has one release only. Empty for a directory.
	template string
}

// parseMirror says what a mirror is, for all who ask. A file URL without a template, or with the usual
// layout as its end, is a directory like a path. The errors match ErrOption and do not repeat the text.
func parseMirror(text string) (mirror, error) {
	if !looksLikeURL(text) {
		return mirror{directory: text}, nil
	}
	m, err := parseMirrorURL(text)
	if other := (*SchemeError)(nil); errors.As(err, &other) {
		err = &SchemeError{Scheme: other.Scheme, Text: Redact(text), Mirror: true}
	}
	return m, err
}

func parseMirrorURL(text string) (mirror, error) {
	base, strict := strings.CutSuffix(text, layout)
	if strings.ContainsAny(base, "{}") {
		return parseTemplate(text)
	}
	u, err := parseURL(base)
	if err != nil {
		return mirror{}, err
	}
	if strings.ContainsAny(base, "?#") {
		return mirror{}, fmt.Errorf("%w: the mirror's URL has more than a path, so it must say where {tag} and {asset} stand", ErrOption)
	}
	if u.Scheme != "file" {
		return mirror{template: strings.TrimRight(base, "/") + layout}, nil
	}
	directory, err := filePath(u)
	if err != nil {
		return mirror{}, err
	}
	return mirror{directory: filepath.Clean(directory), strict: strict}, nil
}

func parseTemplate(text string) (mirror, error) {
	if !strings.Contains(text, "{asset}") {
		return mirror{}, fmt.Errorf("%w: the mirror's URL has no {asset}", ErrOption)
	}
	example := mirror{template: text}.expand("0.0.0", "asset")
	if strings.ContainsAny(example, "{}") {
		return mirror{}, fmt.Errorf("%w: the mirror's URL may only contain {tag} and {asset}", ErrOption)
	}
	if _, err := parseURL(example); err != nil {
		return mirror{}, err
	}
	return mirror{template: text}, nil
}

// expand is the URL of an asset.
func (m mirror) expand(tag Tag, asset string) string {
	return strings.NewReplacer("{tag}", string(tag), "{asset}", asset).Replace(m.template)
}

// mirrored points the artifact to its tag on Options.Mirror.
func (a *Artifact) mirrored() error {
	m, err := parseMirror(a.options.Mirror)
	tagged := strings.Contains(m.template, "{tag}")
	switch {
	case err != nil:
		return err
	case m.template == "":
		return a.inDirectory(m)
	case tagged && a.Tag == Latest:
		return fmt.Errorf("%w: it does not say which is the newest", ErrNotListable)
	case !tagged && a.Tag != Latest:
		return fmt.Errorf("%w: the mirror's URL has no {tag}, so it cannot have release %s", ErrOption, a.Tag)
	}
	if err := a.at(m.expand(a.Tag, a.Asset), SourceMirror, SourceDirectory); err != nil {
		return err
	}
	if web, ok := a.source.(*webSource); ok {
		tag := a.Tag
		web.beside = func(name string) (*url.URL, error) { return parseURL(m.expand(tag, name)) }
	}
	return nil
}

// inDirectory points the artifact to its tag in a mirror's directory.
func (a *Artifact) inDirectory(m mirror) error {
	directory := m.directory
	if info, err := vfs.Stat(directory); err != nil || !info.IsDir() {
		return fmt.Errorf("%w: there is no directory %s", ErrNotFound, directory)
	}
	tags := []Tag{a.Tag}
	if a.Tag == Latest {
		listed, err := listDirectory(directory, m.strict)
		if err != nil {
			return err
		}
		tags = tags[:0]
		for _, r := range listed {
			tags = append(tags, r.Tag)
		}
	}
	has := func(path string) bool {
		info, err := vfs.Stat(path)
		return err == nil && info.Mode().IsRegular()
	}
	for _, tag := range tags {
		if path := filepath.Join(directory, string(tag), a.Asset); has(path) {
			a.Tag = tag
			a.is(SourceDirectory, path)
			return nil
		}
	}
	wanted := filepath.Join(string(a.Tag), a.Asset)
	switch path := filepath.Join(directory, a.Asset); {
	case m.strict:
		return fmt.Errorf("%w: the directory %s has no %s", ErrNotFound, directory, wanted)
	case !has(path):
		return fmt.Errorf("%w: the directory %s has neither %s nor %s", ErrNotFound, directory, wanted, a.Asset)
	default:
		a.is(SourceDirectory, path)
		return nil
	}
}
