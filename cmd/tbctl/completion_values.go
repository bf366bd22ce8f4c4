package main

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/completions"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/watch"
)

// values knows what may stand for a value on this host, without the network.
func (a *app) values(request completions.Request) (completions.Answer, bool) {
	kind := request.Value.Target.Type()
	if kind.Kind() == reflect.Slice {
		kind = kind.Elem()
	}
	a.global.StateDir = a.said(request, "state-dir", "TBCTL_STATE_DIR")
	switch kind {
	case reflect.TypeFor[multiversion.Release]():
		return completions.Answer{Candidates: a.releases(request)}, true
	case reflect.TypeFor[release.Platform]():
		return completions.Values(texts(release.Platforms())...), true
	case reflect.TypeFor[release.Require]():
		return completions.Values(string(release.RequireDigest), string(release.RequireSignature)), true
	case reflect.TypeFor[multiversion.Arch]():
		return completions.Values(string(multiversion.ArchAArch64), string(multiversion.ArchX86_64)), true
	}
	switch request.Value.Name {
	case "source":
		return completions.Answer{Candidates: a.tags(request), Names: completions.Files}, true
	case "target", "against":
		return completions.Answer{Candidates: a.targets(request), Names: completions.Files}, true
	case "until":
		return completions.Answer{Candidates: a.conditions(request)}, true
	case "owner":
		return completions.Answer{Candidates: owners(request.Prefix)}, true
	case "mirror":
		return completions.Answer{Names: completions.Directories}, true
	case "public-key":
		return completions.Answer{Names: completions.Files}, true
	}
	return completions.Answer{}, false
}

// said is what the words before the cursor, the environment or the configuration
// say for a flag.
func (a *app) said(request completions.Request, name, variable string) string {
	if given := request.Given(name); len(given) > 0 {
		return given[len(given)-1]
	}
	if value := a.getenv(variable); value != "" {
		return value
	}
	return a.config.Text(name)
}

// releases are those in the binaries that the command line names, of the installed
// one if it names none, and otherwise all that are known here.
func (a *app) releases(request completions.Request) []completions.Candidate {
	var files []string
	for _, name := range []string{"file", "files", "against", "past"} {
		files = append(files, request.Given(name)...)
	}
	if len(files) == 0 {
		files = []string{a.named(request)}
	}
	var candidates []completions.Candidate
	for _, file := range files {
		candidates = append(candidates, embedded(file)...)
	}
	if len(candidates) == 0 {
		for _, tag := range a.tags(request) {
			if tag.Value != string(release.Latest) {
				candidates = append(candidates, completions.Candidate{Value: release.Tag(tag.Value).Release(), Help: tag.Help})
			}
		}
	}
	return unique(candidates)
}

// named is the target that the command line, the environment or the configuration names.
func (a *app) named(request completions.Request) string {
	return a.target(a.said(request, "target", "TBCTL_TARGET"))
}

// conditions are what "tbctl watch --until" waits for.
func (a *app) conditions(request completions.Request) []completions.Candidate {
	var candidates []completions.Candidate
	for _, what := range watch.Conditions() {
		for _, found := range a.releases(request) {
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
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	file, err := os.Open(name)
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
		zip, err := archive.Open(file, size, archive.Limits{})
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

// tags are the releases that are known without asking anybody, newest first: in a
// mirror's directory or the last list from GitHub, in the installed binary, and in
// the history.
func (a *app) tags(request completions.Request) []completions.Candidate {
	candidates := a.listed(request)
	candidates = append(candidates, embedded(a.named(request))...)
	for _, record := range a.records() {
		for _, file := range []*install.File{record.New, record.Old} {
			if file != nil && file.Release != 0 {
				candidates = append(candidates, completions.Candidate{Value: file.Release.String(), Help: "was installed here"})
			}
		}
	}
	candidates = unique(candidates)
	slices.SortStableFunc(candidates, newestFirst)
	for index := range candidates {
		for _, known := range release.AdvisoriesFor(release.Tag(candidates[index].Value)) {
			if known.Skip {
				candidates[index].Help = known.Text
			}
		}
	}
	return append([]completions.Candidate{{Value: string(release.Latest), Help: "the newest release"}}, candidates...)
}

// listed are the tags of the list that "tbctl releases" would print, as far as it
// is on this host.
func (a *app) listed(request completions.Request) []completions.Candidate {
	cache := a.said(request, "cache-dir", "TBCTL_CACHE_DIR")
	if cache == "" {
		cache = config.CacheDir(a.getenv)
	}
	listing, err := release.List(a.ctx, release.Options{
		Mirror: a.said(request, "mirror", "TBCTL_MIRROR"), CacheDir: cache, APIURL: strings.TrimRight(a.getenv("TBCTL_API_URL"), "/"),
		Transport: unchanged{}, Retry: release.Retry{Attempts: 1, AttemptsMax: 1},
	})
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

// targets are the configured target and those in the history.
func (a *app) targets(request completions.Request) []completions.Candidate {
	candidates := []completions.Candidate{{Value: a.named(request), Help: "the target of this host"}}
	for _, record := range slices.Backward(a.records()) {
		if record.Phase != install.PhaseOutcome || record.New == nil {
			continue // nothing came of it
		}
		candidates = append(candidates, completions.Candidate{Value: record.Target, Help: string(record.Operation) + " on " + record.Time.Local().Format("2006-01-02")})
	}
	return unique(candidates)
}

// records are those of the history, or none if it cannot be read.
func (a *app) records() []install.Record {
	history, err := a.journal().Read("")
	if err != nil {
		return nil
	}
	return history.Records
}

// accountsMax bounds the users and groups that are read.
const accountsMax = 4096

// owners are the users of this host, and behind "USER:" its groups. Only the
// files are read: a directory service may be slow.
func owners(prefix string) []completions.Candidate {
	user, _, hasGroup := strings.Cut(prefix, ":")
	if !hasGroup {
		return accounts("/etc/passwd", "")
	}
	return accounts("/etc/group", user+":")
}

func accounts(name, before string) []completions.Candidate {
	file, err := os.Open(name)
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
