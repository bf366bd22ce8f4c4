package candidates

import (
	"context"
	"reflect"
	"slices"

	"github.com/tbctl/tbctl/completions"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
)

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
