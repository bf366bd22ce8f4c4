// Package candidates knows which releases, targets, conditions and accounts may stand for a value on
// this host. It asks what is on the disk and never the network: a candidate is shown while an
// operator types.
package candidates

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/completions"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/watch"
)

// Host is what candidates are found in.
type Host struct {
	Target  string           // the installed binary
	Journal *install.Journal // one that cannot be read has no candidates
	List    release.Options  // of the list that "tbctl releases" would print
	Store   *depot.Depot     // nil: there is none
}

// Artifacts are those of the store, by their digests.
func (h *Host) Artifacts(ctx context.Context) []completions.Candidate {
	var candidates []completions.Candidate
	for _, item := range h.items(ctx) {
		candidates = append(candidates, completions.Candidate{Value: shelf.PrefixDigest + item.SHA256, Help: item.Release.String() + " for " + string(item.Platform)})
	}
	return candidates
}

// Stored are the releases that the store has.
func (h *Host) Stored(ctx context.Context) []completions.Candidate {
	var candidates []completions.Candidate
	for _, item := range h.items(ctx) {
		if tag := item.Tag(); tag != "" {
			candidates = append(candidates, completions.Candidate{Value: shelf.PrefixRelease + string(tag), Help: "in the store"})
		}
	}
	return unique(candidates)
}

func (h *Host) items(ctx context.Context) []shelf.Item {
	if h.Store == nil {
		return nil
	}
	items, err := shelf.List(ctx, h.Store)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(items, func(item shelf.Item) bool { return item.Problem != "" })
}

// Releases are those in the binaries, of the installed
// one if none is named, and otherwise all that are known here.
func (h *Host) Releases(ctx context.Context, files ...string) []completions.Candidate {
	if len(files) == 0 {
		files = []string{h.Target}
	}
	var candidates []completions.Candidate
	for _, file := range files {
		candidates = append(candidates, embedded(file)...)
	}
	if len(candidates) == 0 {
		for _, tag := range h.Tags(ctx) {
			if tag.Value != string(release.Latest) {
				candidates = append(candidates, completions.Candidate{Value: release.Tag(tag.Value).Release(), Help: tag.Help})
			}
		}
	}
	return unique(candidates)
}

// Conditions are what "tbctl watch --until" waits for.
func (h *Host) Conditions(ctx context.Context) []completions.Candidate {
	var candidates []completions.Candidate
	for _, what := range watch.Conditions() {
		for _, found := range h.Releases(ctx) {
			candidates = append(candidates, completions.Candidate{Value: what + "=" + found.Value, Help: found.Help})
		}
	}
	for _, what := range []string{watch.ConditionRunning, watch.ConditionServing} {
		candidates = append(candidates, completions.Candidate{Value: what, Help: "whatever it runs"})
	}
	return candidates
}

// embedded are the releases in a binary, newest first; none if it is no binary,
// or one in an archive that would have to be unpacked.
func embedded(name string) []completions.Candidate {
	file, info, err := vfs.OpenFile(name, vfs.RegularOnly(fs.ErrInvalid))
	if err != nil {
		return nil
	}
	defer file.Close()
	var section io.ReaderAt = file
	size := info.Size()
	prefix := make([]byte, min(size, archive.SniffSize))
	if _, err := file.ReadAt(prefix, 0); err != nil {
		return nil
	}
	if archive.Sniff(prefix) == archive.KindZip {
		zip, err := archive.Open(file, size)
		if err != nil {
			return nil
		}
		stored, ok := zip.Section()
		if !ok {
			return nil
		}
		section, size = stored, stored.Size()
	}
	binary, err := multiversion.Parse(section, size)
	if err != nil {
		return nil
	}
	var candidates []completions.Candidate
	for _, found := range binary.Images[0].Header.Releases() {
		help := "in " + filepath.Base(name)
		if found == binary.Current() {
			help = "current " + help
		}
		candidates = append(candidates, completions.Candidate{Value: found.String(), Help: help})
	}
	slices.SortStableFunc(candidates, newestFirst)
	return candidates
}

func newestFirst(a, b completions.Candidate) int {
	return release.Tag(b.Value).Compare(release.Tag(a.Value))
}

// Tags are the releases that are known without asking anybody, newest first: in a
// mirror's directory or the last list from GitHub, in the installed binary, and in
// the history.
func (h *Host) Tags(ctx context.Context) []completions.Candidate {
	candidates := h.listed(ctx)
	candidates = append(candidates, embedded(h.Target)...)
	for _, record := range h.records() {
		for _, file := range []*install.File{record.New, record.Old} {
			if file != nil && file.Release != 0 {
				candidates = append(candidates, completions.Candidate{Value: file.Release.String(), Help: "was installed here"})
			}
		}
	}
	candidates = unique(candidates)
	slices.SortStableFunc(candidates, newestFirst)
	for index := range candidates {
		for _, known := range h.List.Advisories.ForTag(candidates[index].Value) {
			if known.Skip {
				candidates[index].Help = known.Text
			}
		}
	}
	return append([]completions.Candidate{{Value: string(release.Latest), Help: "the newest release"}}, candidates...)
}

// listed are the tags of the list that "tbctl releases" would print, as far as it
// is on this host.
func (h *Host) listed(ctx context.Context) []completions.Candidate {
	options := h.List
	options.Transport, options.Retry = unchanged{}, release.Retry{Attempts: 1, AttemptsMax: 1}
	listing, err := release.List(ctx, options)
	if err != nil && len(listing.Releases) == 0 {
		return nil
	}
	var candidates []completions.Candidate
	for _, found := range listing.Releases {
		if found.Tag != "" {
			candidates = append(candidates, completions.Candidate{Value: string(found.Tag), Help: listedHelp(listing, found)})
		}
	}
	return candidates
}

func listedHelp(listing release.Listing, found release.Listed) string {
	switch {
	case listing.Source == release.SourceDirectory:
		return "in the mirror"
	case found.Published.IsZero():
		return "in the list"
	}
	return "published on " + found.Published.Format("2006-01-02")
}

// unchanged stands in the place of the network. It says of whatever is in the cache
// that it has not changed, so that the cache answers, and refuses all else.
type unchanged struct{}

var errOffline = errors.New("not in the cache")

// RoundTrip implements [http.RoundTripper].
func (unchanged) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Header.Get("If-None-Match") == "" {
		return nil, errOffline
	}
	return &http.Response{StatusCode: http.StatusNotModified, ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header), Body: http.NoBody, Request: request}, nil
}

// Targets are the target and those in the history.
func (h *Host) Targets() []completions.Candidate {
	candidates := []completions.Candidate{{Value: h.Target, Help: "the target of this host"}}
	for _, record := range slices.Backward(h.records()) {
		if record.Phase != install.PhaseOutcome || record.New == nil {
			continue // nothing came of it
		}
		candidates = append(candidates, completions.Candidate{Value: record.Target, Help: string(record.Operation) + " on " + record.Time.Local().Format("2006-01-02")})
	}
	return unique(candidates)
}

func (h *Host) records() []install.Record {
	history, err := h.Journal.Read("")
	if err != nil {
		return nil
	}
	return history.Records
}

// accountsMax bounds the users and groups that are read.
const accountsMax = 4096

// Owners are the users of this host, and after "USER:" its groups. Only the
// files are read: a directory service may be slow.
func Owners(prefix string) []completions.Candidate {
	user, _, hasGroup := strings.Cut(prefix, ":")
	if !hasGroup {
		return accounts("/etc/passwd", "")
	}
	return accounts("/etc/group", user+":")
}

func accounts(name, before string) []completions.Candidate {
	file, _, err := vfs.OpenFile(name, vfs.RegularOnly(fs.ErrInvalid))
	if err != nil {
		return nil
	}
	defer file.Close()
	var candidates []completions.Candidate
	lines := bufio.NewScanner(file)
	for len(candidates) < accountsMax && lines.Scan() {
		if fields := strings.Split(lines.Text(), ":"); len(fields) > 2 && !strings.HasPrefix(fields[0], "#") {
			candidates = append(candidates, completions.Candidate{Value: before + fields[0], Help: "number " + fields[2]})
		}
	}
	return candidates
}

// unique keeps the first of the candidates with the same value.
func unique(candidates []completions.Candidate) []completions.Candidate {
	seen := make(map[string]bool)
	return slices.DeleteFunc(candidates, func(candidate completions.Candidate) bool {
		again := seen[candidate.Value]
		seen[candidate.Value] = true
		return again
	})
}

// Answer says what may stand for a value; false: that is not known h.
func (h *Host) Answer(ctx context.Context, request completions.Request) (completions.Answer, bool) {
	kind := request.Value.Target.Type()
	if kind.Kind() == reflect.Slice {
		kind = kind.Elem()
	}
	switch kind {
	case reflect.TypeFor[multiversion.Release]():
		return completions.Answer{Candidates: h.Releases(ctx, named(request)...)}, true
	case reflect.TypeFor[multiversion.Platform]():
		return completions.Values(texts(release.Platforms())...), true
	case reflect.TypeFor[release.Require]():
		return completions.Values(string(release.RequireDigest), string(release.RequireSignature)), true
	case reflect.TypeFor[multiversion.Arch]():
		return completions.Values(string(multiversion.ArchAArch64), string(multiversion.ArchX86_64)), true
	}
	switch request.Value.Name {
	case "source":
		found := h.Tags(ctx)
		if request.Command.Name != "import" {
			found = slices.Concat(found, h.Stored(ctx), h.Artifacts(ctx))
		}
		return completions.Answer{Candidates: found, Names: completions.Files}, true
	case "command": // of the manual
		var commands []completions.Candidate
		for _, command := range request.Command.Parent.Children {
			if !command.Hidden {
				commands = append(commands, completions.Candidate{Value: command.Name, Help: command.Help})
			}
		}
		return completions.Answer{Candidates: commands}, true
	case "sha256:hex":
		return completions.Answer{Candidates: h.Artifacts(ctx)}, true
	case "file":
		if request.Command.Name == "verify" || request.Command.Name == "inspect" {
			return completions.Answer{Candidates: h.Artifacts(ctx), Names: completions.Files}, true
		}
	case "target", "against":
		return completions.Answer{Candidates: h.Targets(), Names: completions.Files}, true
	case "until":
		return completions.Answer{Candidates: h.Conditions(ctx)}, true
	case "owner":
		return completions.Answer{Candidates: Owners(request.Prefix)}, true
	case "mirror":
		return completions.Answer{Names: completions.Directories}, true
	case "public-key":
		return completions.Answer{Names: completions.Files}, true
	}
	return completions.Answer{}, false
}

// named are the binaries that the command line names.
func named(request completions.Request) []string {
	var files []string
	for _, name := range []string{"file", "files", "against", "past"} {
		files = append(files, request.Given(name)...)
	}
	return files
}

// texts are values as a list.
func texts[T ~string](values []T) []string {
	var list []string
	for _, value := range values {
		list = append(list, string(value))
	}
	return list
}
