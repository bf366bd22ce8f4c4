// Package oci keeps releases in registries of OCI artifacts. A release is an index with a manifest for each platform. A manifest's
// first layer is the bare executable, so that the blob's digest is the artifact's, its second one says who vouched for it, and a third one
// is a signature of it where the pusher's store had one.
package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
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
)

var (
	// ErrMissing says that the registry does not have it.
	ErrMissing = fault.New(fault.Failed, "the registry does not have it")
	// ErrDenied says that the registry wants to know who asks, or does not let them.
	ErrDenied = fault.New(fault.Failed, "the registry refuses: log in with docker login, or podman login")
	// ErrPasswords says that nobody can be let read there without the password itself, which no host is given.
	ErrPasswords = fault.New(fault.Failed, "the registry gives no token for one repository, and no host is given a password or a token for more")
	// ErrReference says that a text does not name an artifact in a registry.
	ErrReference = fault.New(fault.Usage, "not oci://HOST/REPOSITORY[:TAG][@sha256:HEX]")
)

// Registries implements [engine.Registry].
type Registries struct{ Version string }

// repository is the one of a reference.
func (r Registries) repository(ref engine.Reference) (*remote.Repository, registry.Reference, error) {
	text, is := strings.CutPrefix(ref.Where, engine.SchemeOCI)
	parsed, err := registry.ParseReference(text)
	if !is || err != nil {
		return nil, parsed, fmt.Errorf("%.200q: %w", ref.Where, ErrReference)
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
		return nil, parsed, fmt.Errorf("read docker's configuration: %w", err)
	}
	return &remote.Repository{
		Reference: parsed, PlainHTTP: ref.PlainHTTP, SkipReferrersGC: true,
		Client: &auth.Client{
			Client: &http.Client{Transport: transport}, Cache: auth.NewCache(), Credential: credentials.Credential(store),
			Header: http.Header{"User-Agent": {engine.Name + "/" + r.Version}},
		},
	}, parsed, nil
}

// explain says what an error of a registry means.
func explain(what string, err error) error {
	var answer *errcode.ErrorResponse
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errdef.ErrNotFound):
		err = fmt.Errorf("%w: %w", ErrMissing, err)
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		err = fmt.Errorf("%w: %w", ErrDenied, err)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		err = fmt.Errorf("%w: %w", ErrDenied, err)
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrTrailingData), errors.Is(err, errdef.ErrInvalidDigest):
		err = fmt.Errorf("%w: %w", engine.ErrOCI, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// fetchJSON reads what a descriptor describes, and compares it with that.
func fetchJSON(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor, value any) error {
	if desc.Size > manifestSizeMax {
		return fmt.Errorf("%w: %s has %d bytes, at most %d are read", engine.ErrOCI, desc.Digest, desc.Size, manifestSizeMax)
	}
	text, err := content.FetchAll(ctx, repo, desc)
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
		parsed.Reference = "latest"
	}
	top, err := repo.Resolve(ctx, parsed.Reference)
	if err != nil {
		return found, err
	}
	found.Index, found.Pinned = top.Digest.String(), strings.Contains(parsed.Reference, ":")
	found.Place = engine.SchemeOCI + parsed.Registry + "/" + parsed.Repository + "@" + top.Digest.String()
	manifest := top
	if top.MediaType == ocispec.MediaTypeImageIndex {
		var index ocispec.Index
		if err := fetchJSON(ctx, repo, top, &index); err != nil {
			return found, err
		}
		at := slices.IndexFunc(index.Manifests, func(d ocispec.Descriptor) bool { return same(d.Platform, platform) })
		if at < 0 {
			return found, fmt.Errorf("%w for %s", ErrMissing, ref.Platform)
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
		text, err := content.FetchAll(ctx, repo, layer)
		if err != nil {
			return found, err
		}
		found.Signature = string(text)
	}
	return found, nil
}

func descriptor(blob engine.Blob) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: MediaTypeExecutable, Digest: digest.NewDigestFromEncoded(digest.SHA256, blob.SHA256), Size: blob.Size}
}

// Blob implements [engine.Registry].
func (r Registries) Blob(ctx context.Context, ref engine.Reference, blob engine.Blob, offset int64) (io.ReadCloser, error) {
	repo, _, err := r.repository(ref)
	if err != nil {
		return nil, err
	}
	what := "sha256:" + blob.SHA256
	from, err := repo.Blobs().Fetch(ctx, descriptor(blob))
	if err != nil {
		return nil, explain(what, err)
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
	return found, explain("sha256:"+blob.SHA256, err)
}

func (r Registries) locate(ctx context.Context, ref engine.Reference, blob engine.Blob) (found engine.Located, err error) {
	repo, parsed, err := r.repository(ref)
	if err != nil {
		return found, err
	}
	if parsed.Reference != "" {
		return found, fmt.Errorf("%.200q: %w, and here without a tag", ref.Where, ErrReference)
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

// Push implements [engine.Registry]. The blobs come first, then the manifest, then the index with its tag: what a tag names is
// there as a whole. Other platforms of the index stay.
func (r Registries) Push(ctx context.Context, push engine.Push) (engine.Pushed, error) {
	pushed, err := r.push(ctx, push)
	return pushed, explain(push.Where, err)
}

func (r Registries) push(ctx context.Context, push engine.Push) (pushed engine.Pushed, err error) {
	repo, parsed, err := r.repository(push.Reference)
	if err != nil {
		return pushed, err
	}
	platform, err := platformOf(push.Platform)
	if err != nil {
		return pushed, err
	}
	if parsed.Reference == "" {
		parsed.Reference = push.Version
	}
	if parsed.ValidateReferenceAsTag() != nil {
		return pushed, fmt.Errorf("%.200q: %w, and to push with a tag", push.Where, ErrReference)
	}
	if len(push.Receipts) > receiptsSizeMax {
		return pushed, fmt.Errorf("receipts of %d bytes, at most %d", len(push.Receipts), receiptsSizeMax)
	}
	executable := descriptor(push.Blob)
	executable.Annotations = map[string]string{ocispec.AnnotationTitle: "tigerbeetle"}
	if pushed.Already, err = repo.Blobs().Exists(ctx, executable); err != nil {
		return pushed, err
	}
	if !pushed.Already {
		if err := pushFile(ctx, repo, executable, push.Path); err != nil {
			return pushed, err
		}
	}
	receipts := content.NewDescriptorFromBytes(MediaTypeReceipts, push.Receipts)
	receipts.Annotations = map[string]string{ocispec.AnnotationTitle: "receipts.json"}
	if err := pushBytes(ctx, repo, receipts, push.Receipts); err != nil {
		return pushed, err
	}
	layers := []ocispec.Descriptor{executable, receipts}
	if push.Signature != "" {
		if len(push.Signature) > engine.SignatureSizeMax {
			return pushed, fmt.Errorf("a signature of %d bytes, at most %d", len(push.Signature), engine.SignatureSizeMax)
		}
		signature := content.NewDescriptorFromBytes(MediaTypeSignature, []byte(push.Signature))
		signature.Annotations = map[string]string{ocispec.AnnotationTitle: "tigerbeetle.minisig"}
		if err := pushBytes(ctx, repo, signature, []byte(push.Signature)); err != nil {
			return pushed, err
		}
		layers = append(layers, signature)
	}
	annotations := map[string]string{
		ocispec.AnnotationTitle: "tigerbeetle " + push.Version, ocispec.AnnotationVersion: push.Version, ocispec.AnnotationCreated: push.Created,
	}
	if push.Source != "" {
		annotations[ocispec.AnnotationSource] = push.Source
	}
	manifest, err := oras.PackManifest(ctx, repo, oras.PackManifestVersion1_1, ArtifactType, oras.PackManifestOptions{
		Layers: layers, ManifestAnnotations: annotations,
	})
	if err != nil {
		return pushed, err
	}
	manifest.Platform, manifest.Annotations = &platform, nil
	index, err := r.index(ctx, repo, parsed.Reference, push.Version)
	if err != nil {
		return pushed, err
	}
	index.Manifests = slices.DeleteFunc(index.Manifests, func(d ocispec.Descriptor) bool { return same(d.Platform, platform) })
	if index.Manifests = append(index.Manifests, manifest); len(index.Manifests) > platformsMax {
		return pushed, fmt.Errorf("%w: its index has more than %d platforms", engine.ErrOCI, platformsMax)
	}
	slices.SortFunc(index.Manifests, func(a, b ocispec.Descriptor) int { return strings.Compare(named(a), named(b)) })
	index.Annotations = map[string]string{ocispec.AnnotationTitle: annotations[ocispec.AnnotationTitle], ocispec.AnnotationVersion: push.Version}
	text, err := json.Marshal(index)
	if err != nil {
		return pushed, err
	}
	top := content.NewDescriptorFromBytes(ocispec.MediaTypeImageIndex, text)
	if err := repo.PushReference(ctx, top, bytes.NewReader(text), parsed.Reference); err != nil {
		return pushed, err
	}
	pushed.Index, pushed.Manifest = top.Digest.String(), manifest.Digest.String()
	pushed.Place = engine.SchemeOCI + parsed.Registry + "/" + parsed.Repository + "@" + pushed.Index
	return pushed, nil
}

func named(d ocispec.Descriptor) string {
	if d.Platform == nil {
		return ""
	}
	return path.Join(d.Platform.OS, d.Platform.Architecture)
}

// index is the one that a tag names, or an empty one where it names none or one of another version: no list has two. A tag that names something
// else is left alone.
func (r Registries) index(ctx context.Context, repo *remote.Repository, tag, version string) (*ocispec.Index, error) {
	index := &ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, ArtifactType: ArtifactType}
	top, err := repo.Resolve(ctx, tag)
	if errors.Is(err, errdef.ErrNotFound) {
		return index, nil
	}
	if err != nil {
		return nil, err
	}
	var there ocispec.Index
	if top.MediaType == ocispec.MediaTypeImageIndex {
		if err := fetchJSON(ctx, repo, top, &there); err != nil {
			return nil, err
		}
	}
	if there.ArtifactType != ArtifactType {
		return nil, fault.New(fault.Refused, fmt.Sprintf("the tag %s names something that tbctl did not push: name another tag", tag))
	}
	if there.Annotations[ocispec.AnnotationVersion] == version {
		index.Manifests = there.Manifests
	}
	return index, nil
}

func pushFile(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	return repo.Push(ctx, desc, file)
}

func pushBytes(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor, data []byte) error {
	there, err := repo.Exists(ctx, desc)
	if err != nil || there {
		return err
	}
	return repo.Push(ctx, desc, bytes.NewReader(data))
}
