package release

import "strings"

// A SourceKind is the kind of place that an artifact comes from.
type SourceKind string

// The kinds of places.
const (
	SourceGitHub    SourceKind = "github"    // a tag, by GitHub's direct URL
	SourceMirror    SourceKind = "mirror"    // a tag, by a mirror's URL template
	SourceDirectory SourceKind = "directory" // a tag or platform, in a directory of assets
	SourceURL       SourceKind = "url"       // an explicit URL
	SourceFile      SourceKind = "file"      // an explicit path
	SourceStdin     SourceKind = "stdin"
	SourceStore     SourceKind = "store"    // an artifact of this host's store, see package shelf
	SourceRegistry  SourceKind = "registry" // a registry of OCI artifacts, see package engine
	SourceTUF       SourceKind = "tuf"      // a repository of The Update Framework, see package engine
)

// What a kind can do. One of another package is as a directory is.

// sent reports whether another program sends the bytes: where they end too early, it failed.
func (k SourceKind) sent() bool { return k == SourceStdin }

// judged reports whether an artifact was judged before, and came with what vouched for it: then nobody else is asked.
func (k SourceKind) judged() bool { return k == SourceStore }

// hasSums reports whether a list of checksums may lie beside the asset.
func (k SourceKind) hasSums() bool {
	return k != SourceGitHub && k != SourceStdin && k != SourceRegistry && k != SourceTUF
}

// isZip reports whether what is at a path there is known to be compressed.
func (k SourceKind) isZip(path string) bool {
	return k == SourceGitHub || (k == SourceURL || k == SourceTUF) && strings.HasSuffix(path, ".zip")
}

// getsCredentials reports whether the operator's credentials for a store may go there.
func (k SourceKind) getsCredentials() bool { return k == SourceMirror || k == SourceURL }
