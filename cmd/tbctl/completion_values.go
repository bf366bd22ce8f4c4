package main

import (
	"reflect"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/completions"
	"github.com/tbctl/tbctl/internal/candidates"
	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
)

// values knows what may stand for a value on this host, without the network.
func (a *app) values(request completions.Request) (completions.Answer, bool) {
	kind := request.Value.Target.Type()
	if kind.Kind() == reflect.Slice {
		kind = kind.Elem()
	}
	a.global.StateDir = a.said(request, "state-dir", "TBCTL_STATE_DIR")
	here := a.candidates(request)
	switch kind {
	case reflect.TypeFor[multiversion.Release]():
		return completions.Answer{Candidates: here.Releases(a.ctx, named(request)...)}, true
	case reflect.TypeFor[multiversion.Platform]():
		return completions.Values(texts(release.Platforms())...), true
	case reflect.TypeFor[release.Require]():
		return completions.Values(string(release.RequireDigest), string(release.RequireSignature)), true
	case reflect.TypeFor[multiversion.Arch]():
		return completions.Values(string(multiversion.ArchAArch64), string(multiversion.ArchX86_64)), true
	}
	switch request.Value.Name {
	case "source":
		found := here.Tags(a.ctx)
		if request.Command.Name != "import" {
			found = slices.Concat(found, here.Stored(a.ctx), here.Artifacts(a.ctx))
		}
		return completions.Answer{Candidates: found, Names: completions.Files}, true
	case "sha256:hex":
		return completions.Answer{Candidates: here.Artifacts(a.ctx)}, true
	case "file":
		if request.Command.Name == "verify" || request.Command.Name == "inspect" {
			return completions.Answer{Candidates: here.Artifacts(a.ctx), Names: completions.Files}, true
		}
	case "target", "against":
		return completions.Answer{Candidates: here.Targets(), Names: completions.Files}, true
	case "until":
		return completions.Answer{Candidates: here.Conditions(a.ctx)}, true
	case "owner":
		return completions.Answer{Candidates: candidates.Owners(request.Prefix)}, true
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

// candidates are found in what the words before the cursor, the environment and the configuration name.
func (a *app) candidates(request completions.Request) *candidates.Host {
	cache := a.said(request, "cache-dir", "TBCTL_CACHE_DIR")
	if cache == "" {
		cache = config.CacheDir(a.getenv)
	}
	store, err := a.depot(a.said(request, "store", "TBCTL_STORE"))
	if err != nil {
		store = nil
	}
	return &candidates.Host{
		Store:  store,
		Target: a.target(a.said(request, "target", "TBCTL_TARGET")), Journal: a.journal(),
		List: release.Options{Mirror: a.said(request, "mirror", "TBCTL_MIRROR"), CacheDir: cache, APIURL: strings.TrimRight(a.getenv("TBCTL_API_URL"), "/")},
	}
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
