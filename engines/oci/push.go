package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/fault"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
)

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
		return pushed, fmt.Errorf("%w, and to push with a tag", engine.ErrOCIReference)
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
		ocispec.AnnotationTitle: title(push.Version), ocispec.AnnotationVersion: push.Version, ocispec.AnnotationCreated: push.Created,
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
	pushed.Manifest = manifest.Digest.String()
	for range movedTries {
		before, err := named(ctx, repo, parsed.Reference)
		if err != nil {
			return pushed, err
		}
		top, text, err := before.with(manifest, push.Version)
		if err != nil {
			return pushed, err
		}
		if now, err := resolve(ctx, repo, parsed.Reference); err != nil {
			return pushed, err
		} else if now.Digest != before.top.Digest {
			continue
		}
		if err := repo.PushReference(ctx, top, bytes.NewReader(text), parsed.Reference); err != nil {
			return pushed, err
		}
		pushed.Index = top.Digest.String()
		pushed.Place = engine.SchemeOCI + parsed.Registry + "/" + parsed.Repository + "@" + pushed.Index
		if before.top.Digest != top.Digest {
			pushed.Before, pushed.BeforeVersion = before.top.Digest.String(), before.index.Annotations[ocispec.AnnotationVersion]
		}
		return pushed, nil
	}
	return pushed, engine.ErrOCIMoved
}

func systemOf(d ocispec.Descriptor) string {
	if d.Platform == nil {
		return ""
	}
	return path.Join(d.Platform.OS, d.Platform.Architecture)
}

// indexed is a release that a tag names; the zero value: it names nothing.
type indexed struct {
	top   ocispec.Descriptor
	index ocispec.Index
}

// named is the release that a tag names. One that names something else is refused.
func named(ctx context.Context, repo *remote.Repository, tag string) (found indexed, err error) {
	if found.top, err = resolve(ctx, repo, tag); err != nil || found.top.Digest == "" {
		return found, err
	}
	if found.top.MediaType == ocispec.MediaTypeImageIndex {
		err = fetchJSON(ctx, repo, found.top, &found.index)
	}
	if err == nil && found.index.ArtifactType != ArtifactType {
		err = fault.New(fault.Refused, fmt.Sprintf("the tag %s names something that tbctl did not push: name another tag", tag))
	}
	return found, err
}

// with is the index with a manifest in place of the one for the same platform. Those for others stay where they are of the same version: no list
// has two.
func (i *indexed) with(manifest ocispec.Descriptor, version string) (top ocispec.Descriptor, text []byte, err error) {
	next := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, ArtifactType: ArtifactType}
	if i.index.Annotations[ocispec.AnnotationVersion] == version {
		next.Manifests = slices.DeleteFunc(slices.Clone(i.index.Manifests), func(d ocispec.Descriptor) bool { return same(d.Platform, *manifest.Platform) })
	}
	if next.Manifests = append(next.Manifests, manifest); len(next.Manifests) > platformsMax {
		return top, nil, fmt.Errorf("%w: its index has more than %d platforms", engine.ErrOCI, platformsMax)
	}
	slices.SortFunc(next.Manifests, func(a, b ocispec.Descriptor) int { return strings.Compare(systemOf(a), systemOf(b)) })
	next.Annotations = map[string]string{ocispec.AnnotationTitle: title(version), ocispec.AnnotationVersion: version}
	if text, err = json.Marshal(next); err != nil {
		return top, nil, err
	}
	return content.NewDescriptorFromBytes(ocispec.MediaTypeImageIndex, text), text, nil
}

// title is what people see of a release.
func title(version string) string { return "tigerbeetle " + version }

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
