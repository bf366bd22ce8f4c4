package report

import (
	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/prune"
	"github.com/tbctl/tbctl/depot/serve"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/verify"
)

// Downloaded is the result of download.
type Downloaded struct {
	Path    string          `json:"path"`
	Already bool            `json:"already"` // the same bytes were there, and stay
	Fetched release.Fetched `json:"fetched"`
	Report  verify.Report   `json:"report"`

	Advisories []advisory.Notice `json:"advisories"` // what is known of the release
	Next       []string          `json:"next"`       // commands that use it
}

// Packed is the result of pack.
type Packed struct {
	Output   string                 `json:"output"`
	Size     int64                  `json:"size"`
	Platform multiversion.Platform  `json:"platform"`
	Releases []multiversion.Release `json:"releases"`
	Checksum multiversion.Checksum  `json:"checksum_binary_without_header"`
	Already  bool                   `json:"already"` // the same bytes were there, and stay
	Next     []string               `json:"next"`    // commands that use it
}

// Extracted is the result of extract.
type Extracted struct {
	Extracted []ExtractedFile `json:"extracted"`
}

// ExtractedFile is one file of it.
type ExtractedFile struct {
	Path    string               `json:"path"`
	Release multiversion.Release `json:"release"`
	Arch    multiversion.Arch    `json:"arch"`
	Current bool                 `json:"current"`
	Size    int64                `json:"size"`

	Checksum multiversion.Checksum `json:"checksum"`
	Already  bool                  `json:"already"` // the same bytes were there, and stay
}

// StoreImported is the result of store import.
type StoreImported struct {
	Store string `json:"store"` // its directory
	shelf.Imports

	Advisories []advisory.Notice `json:"advisories"` // what is known of the release
	Next       []string          `json:"next"`       // commands that use it
}

// StoreListed is the result of store list.
type StoreListed struct {
	Store     string          `json:"store"` // its directory
	Artifacts []shelf.Item    `json:"artifacts"`
	SetAside  []depot.Damaged `json:"set_aside"` // what is kept of artifacts whose bytes had changed

	Incoming []depot.Incoming `json:"incoming"` // what is on its way into it, for which room is reserved
}

// StoreVerified is the result of store verify.
type StoreVerified struct {
	Store     string          `json:"store"` // its directory
	Artifacts []shelf.Checked `json:"artifacts"`
	SetAside  []depot.Damaged `json:"set_aside"` // what is kept of artifacts whose bytes had changed
}

// StorePruned is the result of store prune.
type StorePruned struct {
	Store string `json:"store"` // its directory
	*prune.Result
}

// StoreServed is the result of store serve.
type StoreServed struct {
	Store    string         `json:"store"`   // its directory
	Address  string         `json:"address"` // the URL at which it was
	Counters serve.Counters `json:"counters"`
}
