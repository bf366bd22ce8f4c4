// Package oci keeps releases in registries of OCI artifacts. A release is an index with a manifest for each platform. A manifest's
// first layer is the bare executable, so that the blob's digest is the artifact's, its second one says who vouched for it, and a third one
// is a signature of it where the pusher's store had one.
package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/engines/internal/authority"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/multiversion"
)

const (
	// ArtifactType is of a manifest and of an index.
	ArtifactType = "application/vnd.tbctl.release.v1"
	// MediaTypeExecutable is of the layer that is the executable.
	MediaTypeExecutable = "application/vnd.tbctl.executable.v1"
	// MediaTypeReceipts is of the layer that says who vouched for it.
	MediaTypeReceipts = "application/vnd.tbctl.receipts.v1+json"

	// MediaTypeSignature is of the layer that is a minisign signature of the executable.
	MediaTypeSignature = "application/vnd.tbctl.minisign.v1"

	manifestSizeMax = 1 << 20
	receiptsSizeMax = 256 << 10
	platformsMax    = 64
	answerMax       = 60 * time.Second // until a registry's answer begins

	tagDefault   = "latest" // where none is named
	tagSizeMax   = 128
	tagsNamedMax = 16
	tagPagesMax  = 16
	movedTries   = 3 // times that another push changes the tag first
)

// ErrPasswords says that nobody can be let read there without the password itself, which no host is given.
var ErrPasswords = fault.New(fault.Failed, "the registry gives no token for one repository, and no host is given a password or a token for more")

// Registries implements [engine.Registry].
type Registries struct{ Version string }

// repository is the one of a reference.
func (r Registries) repository(ref engine.Reference) (*remote.Repository, registry.Reference, error) {
	text, is := strings.CutPrefix(ref.Where, engine.SchemeOCI)
	parsed, err := registry.ParseReference(text)
	if !is || err != nil {
		return nil, parsed, notReference(text)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = answerMax
	if ref.CAFile != "" {
		if transport.TLSClientConfig, err = authority.Trusting(ref.CAFile); err != nil {
			return nil, parsed, err
		}
	}
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, parsed, fmt.Errorf("%w: %w", engine.ErrOCILogin, err)
	}
	return &remote.Repository{
		Reference: parsed, PlainHTTP: ref.PlainHTTP, SkipReferrersGC: true,
		Client: &auth.Client{
			Client: &http.Client{Transport: transport}, Cache: auth.NewCache(), Credential: credentials.Credential(store),
			Header: http.Header{"User-Agent": {engine.Name + "/" + r.Version}},
		},
	}, parsed, nil
}

// notReference says why a text does not name an artifact in a registry.
func notReference(text string) error {
	host, rest, _ := strings.Cut(text, "/")
	small, err := registry.ParseReference(host + "/" + strings.ToLower(rest))
	if err != nil {
		return engine.ErrOCIReference
	}
	return fmt.Errorf("%w: it is written in small letters: %s%s/%s", engine.ErrOCIReference, engine.SchemeOCI, small.Registry, small.Repository)
}

// explain says what an error of a registry means.
func explain(what string, err error) error {
	var answer *errcode.ErrorResponse
	var transport *url.Error
	switch {
	case err == nil:
		return nil
	case fault.Of(err) != fault.Failed, errors.Is(err, ErrPasswords), errors.Is(err, engine.ErrOCIMissing), errors.Is(err, engine.ErrOCILogin), errors.Is(err, engine.ErrCAFile): // it says what it means
	case errors.Is(err, errdef.ErrNotFound):
		err = fmt.Errorf("%w: %w", engine.ErrOCIMissing, err)
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		err = fmt.Errorf("%w: %w", engine.ErrOCIDenied, err)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		err = fmt.Errorf("%w: %w", engine.ErrOCIDenied, err)
	case answer != nil && (answer.StatusCode >= http.StatusInternalServerError || answer.StatusCode == http.StatusTooManyRequests):
		err = fmt.Errorf("%w as it should: %w", engine.ErrOCIAway, err)
	case authority.Hindered(err) != nil:
		err = fmt.Errorf("%w: %w", authority.Hindered(err), err)
	case errors.As(err, &transport):
		err = fmt.Errorf("%w: %w", engine.ErrOCIAway, err)
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrTrailingData), errors.Is(err, errdef.ErrInvalidDigest):
		err = fmt.Errorf("%w: %w", engine.ErrOCI, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// fetchAll reads what a descriptor describes, and compares it with that.
func fetchAll(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor) ([]byte, error) {
	text, err := content.FetchAll(ctx, repo, desc)
	if err != nil && (desc.MediaType == ocispec.MediaTypeImageIndex || desc.MediaType == ocispec.MediaTypeImageManifest) {
		return nil, damaged(ctx, repo.Manifests(), desc, err)
	}
	if err != nil {
		return nil, damaged(ctx, repo.Blobs(), desc, err)
	}
	return text, nil
}

// damaged is the error of what has other bytes there than it was pushed with, or another length; otherwise it is err.
func damaged(ctx context.Context, store content.Resolver, desc ocispec.Descriptor, err error) error {
	there, asked := store.Resolve(ctx, desc.Digest.String())
	switch {
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrTrailingData):
		return fmt.Errorf("%w: it was changed or damaged there: %s: %w", engine.ErrOCI, desc.Digest, err)
	case asked != nil || there.Size == desc.Size:
		return err
	}
	return fmt.Errorf("%w: it was changed or damaged there: %s has %d bytes, and was pushed with %d", engine.ErrOCI, desc.Digest, there.Size, desc.Size)
}

// fetchJSON reads what a descriptor describes, and compares it with that.
func fetchJSON(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor, value any) error {
	if desc.Size > manifestSizeMax {
		return fmt.Errorf("%w: %s has %d bytes, at most %d are read", engine.ErrOCI, desc.Digest, desc.Size, manifestSizeMax)
	}
	text, err := fetchAll(ctx, repo, desc)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, value); err != nil {
		return fmt.Errorf("%w: %s: %w", engine.ErrOCI, desc.Digest, fault.JSON(err))
	}
	return nil
}

// platforms are what a platform is called in an index.
var platforms = map[multiversion.Platform]ocispec.Platform{
	multiversion.PlatformX86_64Linux:    {OS: "linux", Architecture: "amd64"},
	multiversion.PlatformAArch64Linux:   {OS: "linux", Architecture: "arm64"},
	multiversion.PlatformX86_64Windows:  {OS: "windows", Architecture: "amd64"},
	multiversion.PlatformAArch64Windows: {OS: "windows", Architecture: "arm64"},
	multiversion.PlatformUniversalMacOS: {OS: "darwin", Architecture: "universal"},
}

func platformOf(text string) (ocispec.Platform, error) {
	found, known := platforms[multiversion.Platform(text)]
	if !known {
		return found, fault.New(fault.Usage, fmt.Sprintf("no registry has the platform %.40q", text))
	}
	return found, nil
}

func same(a *ocispec.Platform, b ocispec.Platform) bool {
	return a != nil && a.OS == b.OS && a.Architecture == b.Architecture
}

// Resolve implements [engine.Registry].
func (r Registries) Resolve(ctx context.Context, ref engine.Reference) (engine.Resolved, error) {
	found, err := r.resolve(ctx, ref)
	return found, explain(ref.Where, err)
}

func (r Registries) resolve(ctx context.Context, ref engine.Reference) (found engine.Resolved, err error) {
	repo, parsed, err := r.repository(ref)
	if err != nil {
		return found, err
	}
	platform, err := platformOf(ref.Platform)
	if err != nil {
		return found, err
	}
	if parsed.Reference == "" {
		parsed.Reference = tagDefault
	}
	top, err := repo.Resolve(ctx, parsed.Reference)
	if err != nil {
		return found, notThere(ctx, repo, parsed.Reference, err)
	}
	found.Index, found.Pinned = top.Digest.String(), strings.Contains(parsed.Reference, ":")
	found.Place = engine.SchemeOCI + parsed.Registry + "/" + parsed.Repository + "@" + top.Digest.String()
	manifest := top
	if top.MediaType == ocispec.MediaTypeImageIndex {
		var index ocispec.Index
		if err := fetchJSON(ctx, repo, top, &index); err != nil {
			return found, err
		}
		if len(index.Manifests) == 0 {
			return found, fmt.Errorf("%w: its list of platforms, %s, is empty", engine.ErrOCI, top.Digest)
		}
		at := slices.IndexFunc(index.Manifests, func(d ocispec.Descriptor) bool { return same(d.Platform, platform) })
		if at < 0 {
			return found, fmt.Errorf("%w for %s: it has %s", engine.ErrOCIMissing, ref.Platform, platformsOf(&index))
		}
		manifest = index.Manifests[at]
	}
	if manifest.MediaType != ocispec.MediaTypeImageManifest {
		return found, fmt.Errorf("%w: it has the type %.100q", engine.ErrOCI, manifest.MediaType)
	}
	var release ocispec.Manifest
	if err := fetchJSON(ctx, repo, manifest, &release); err != nil {
		return found, err
	}
	if release.ArtifactType != ArtifactType || len(release.Layers) == 0 || release.Layers[0].MediaType != MediaTypeExecutable {
		return found, fmt.Errorf("%w: %s was not pushed by tbctl", engine.ErrOCI, manifest.Digest)
	}
	blob := release.Layers[0]
	if err := blob.Digest.Validate(); err != nil || blob.Digest.Algorithm() != digest.SHA256 || blob.Size < 1 || blob.Size > multiversion.SizeMax {
		return found, fmt.Errorf("%w: the executable is %.100q, of %d bytes", engine.ErrOCI, blob.Digest, blob.Size)
	}
	found.Manifest, found.Version = manifest.Digest.String(), release.Annotations[ocispec.AnnotationVersion]
	found.Blob = engine.Blob{SHA256: blob.Digest.Encoded(), Size: blob.Size}
	if at := slices.IndexFunc(release.Layers, func(d ocispec.Descriptor) bool { return d.MediaType == MediaTypeSignature }); at > 0 {
		layer := release.Layers[at]
		if layer.Size > engine.SignatureSizeMax {
			return found, fmt.Errorf("%w: the signature has %d bytes, at most %d are read", engine.ErrOCI, layer.Size, engine.SignatureSizeMax)
		}
		text, err := fetchAll(ctx, repo, layer)
		if err != nil {
			return found, err
		}
		found.Signature = string(text)
	}
	return found, nil
}

// notThere is the error of a reference that cannot be resolved: it says where another one is meant, and which tags there are.
func notThere(ctx context.Context, repo *remote.Repository, reference string, err error) error {
	if strings.Contains(reference, ":") {
		if _, asked := repo.Blobs().Resolve(ctx, reference); asked == nil {
			return engine.ErrOCIDigest
		}
		return err
	}
	if !errors.Is(err, errdef.ErrNotFound) {
		return err
	}
	text := "no tag " + reference
	if reference == tagDefault {
		text += ", which is meant where none is named"
	}
	if tags := tagsOf(ctx, repo); len(tags) > 0 {
		text += "; it has " + strings.Join(tags, ", ")
	}
	return fmt.Errorf("%w: %s", engine.ErrOCIMissing, text)
}

// tagsOf are the last of the tags of a repository, as far as the registry tells them.
func tagsOf(ctx context.Context, repo *remote.Repository) (tags []string) {
	errEnough, pages := errors.New("enough"), 0
	_ = repo.Tags(ctx, "", func(page []string) error { // what it does not tell is not named
		for _, tag := range page {
			if len(tag) <= tagSizeMax && (registry.Reference{Reference: tag}).ValidateReferenceAsTag() == nil {
				tags = append(tags, tag)
			}
		}
		tags = tags[max(0, len(tags)-tagsNamedMax):]
		if pages++; pages == tagPagesMax {
			return errEnough
		}
		return nil
	})
	return tags
}

// platformsOf are those of an index.
func platformsOf(index *ocispec.Index) string {
	var has []string
	for platform, theirs := range platforms {
		if slices.ContainsFunc(index.Manifests, func(d ocispec.Descriptor) bool { return same(d.Platform, theirs) }) {
			has = append(has, string(platform))
		}
	}
	if len(has) == 0 {
		return "no platform that is known here"
	}
	slices.Sort(has)
	return strings.Join(has, ", ")
}

func descriptor(blob engine.Blob) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: MediaTypeExecutable, Digest: digest.NewDigestFromEncoded(digest.SHA256, blob.SHA256), Size: blob.Size}
}

// Blob implements [engine.Registry].
func (r Registries) Blob(ctx context.Context, ref engine.Reference, blob engine.Blob, offset int64) (io.ReadCloser, error) {
	repo, parsed, err := r.repository(ref)
	if err != nil {
		return nil, explain(ref.Where, err)
	}
	what := engine.SchemeOCI + parsed.Registry + "/" + parsed.Repository
	from, err := repo.Blobs().Fetch(ctx, descriptor(blob))
	if err != nil {
		return nil, explain(what, damaged(ctx, repo.Blobs(), descriptor(blob), err))
	}
	if offset == 0 {
		return from, nil
	}
	if seeker, can := from.(io.Seeker); can {
		_, err = seeker.Seek(offset, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, from, offset)
	}
	if err != nil {
		from.Close()
		return nil, explain(what, err)
	}
	return from, nil
}

// Locate implements [engine.Registry]. The registry is asked for the blob, and the token is the one that it gave for that: for pulling from
// this repository.
func (r Registries) Locate(ctx context.Context, ref engine.Reference, blob engine.Blob) (engine.Located, error) {
	found, err := r.locate(ctx, ref, blob)
	return found, explain(ref.Where+": sha256:"+blob.SHA256, err)
}

func (r Registries) locate(ctx context.Context, ref engine.Reference, blob engine.Blob) (found engine.Located, err error) {
	repo, parsed, err := r.repository(ref)
	if err != nil {
		return found, err
	}
	if parsed.Reference != "" {
		return found, fmt.Errorf("%w, and here without a tag", engine.ErrOCIReference)
	}
	asked := descriptor(blob)
	there, err := repo.Blobs().Resolve(ctx, asked.Digest.String())
	switch {
	case err != nil:
		return found, err
	case there.Size != blob.Size:
		return found, fmt.Errorf("%w: the blob has %d bytes there, and the artifact %d", engine.ErrOCI, there.Size, blob.Size)
	}
	scheme := "https"
	if repo.PlainHTTP {
		scheme = "http"
	}
	found.URL = scheme + "://" + parsed.Host() + "/v2/" + parsed.Repository + "/blobs/" + asked.Digest.String()
	client := repo.Client.(*auth.Client)
	switch how, err := client.Cache.GetScheme(ctx, parsed.Host()); {
	case errors.Is(err, errdef.ErrNotFound):
		return found, nil // whoever asks may read
	case err != nil:
		return found, err
	case how != auth.SchemeBearer:
		return found, ErrPasswords
	}
	known, err := client.Credential(ctx, parsed.Host())
	if err != nil {
		return found, err
	}
	if known.AccessToken != "" { // of docker's configuration, and good for whatever its user may do
		return found, ErrPasswords
	}
	found.Token, err = client.Cache.GetToken(ctx, parsed.Host(), auth.SchemeBearer, auth.ScopeRepository(parsed.Repository, auth.ActionPull))
	if err != nil {
		return found, fmt.Errorf("%w: its token is for something else: %w", ErrPasswords, err)
	}
	return found, nil
}

// resolve finds what a tag names; the digest is "" where it names nothing.
func resolve(ctx context.Context, repo *remote.Repository, tag string) (ocispec.Descriptor, error) {
	top, err := repo.Resolve(ctx, tag)
	if errors.Is(err, errdef.ErrNotFound) {
		return ocispec.Descriptor{}, nil
	}
	return top, err
}
