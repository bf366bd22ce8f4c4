package engine

import (
	"context"
	"fmt"
	"hash"
	"io"
	"path/filepath"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

const (
	kept         = "oci" // the directory of the cache that interrupted downloads are in
	assetName    = "tigerbeetle"
	blobTriesMax = 5 // times that a blob is asked for without a byte of it coming
)

// Artifact is a release in a registry: its executable as it was resolved. What vouches for it is the digest in the manifest, and for
// that, where the reference has a digest, that one. What comes is kept in a directory below cache until it is whole, unless cache is "".
func (e *Engine) Artifact(ref Reference, found Resolved, options release.Options) (release.Artifact, error) {
	about := release.About{Source: release.SourceRegistry, Asset: assetName, Location: found.Place}
	if tag, err := release.ParseTag(found.Version); err == nil && tag != release.Latest {
		about.Tag = tag
	}
	claim := release.Claim{
		Kind: release.EvidenceManifest, Strength: release.RequireDigest, SHA256: found.Blob.SHA256, Of: "executable", Length: found.Blob.Size,
		Said: "; by the registry's manifest " + found.Manifest,
	}
	if found.Pinned {
		claim.Kind = release.EvidenceSHA256
		claim.Said += ", as the digest that was asked for has it"
	}
	return release.From(&blobSource{e, ref, found.Blob, options.CacheDir, found.Signature}, about, options, vouch(claim))
}

// vouch is what a manifest claims.
type vouch release.Claim

// Ask implements [release.Voucher].
func (v vouch) Ask(context.Context, *release.Artifact) []release.Claim {
	return []release.Claim{release.Claim(v)}
}

// blobSource is a blob of a registry.
type blobSource struct {
	engine *Engine
	ref    Reference
	blob   Blob
	cache  string

	signature string // "": there is none
}

// Beside has the signature that was pushed with the executable, and nothing else: what a registry has is named by a manifest.
func (s *blobSource) Beside(_ context.Context, name string, _ int64) ([]byte, error) {
	if name == assetName+".minisig" && s.signature != "" {
		return []byte(s.signature), nil
	}
	return nil, fmt.Errorf("%w: a registry keeps no %s", release.ErrNotFound, name)
}

// Open begins to read it, with what an earlier run left.
func (s *blobSource) Open(ctx context.Context, _ hash.Hash) (release.Stream, error) {
	b := &blobStream{blobSource: s, ctx: ctx}
	if s.cache == "" {
		return b, nil
	}
	dir := filepath.Join(s.cache, kept)
	err := durable.MkdirAll(vfs.OS(), s.cache, 0o755)
	if err == nil {
		err = durable.MkdirAll(vfs.OS(), dir, 0o700)
	}
	if err == nil {
		b.partial, err = durable.OpenPartial(vfs.OS(), filepath.Join(dir, s.blob.SHA256))
	}
	if err == nil && b.partial.Size() > s.blob.Size {
		err = b.partial.Truncate(0)
	}
	if err != nil { // it is fetched as a whole
		b.note = err.Error()
		b.drop()
		return b, nil
	}
	b.resumed = b.partial.Size()
	return b, nil
}

// blobStream is a blob that is read.
type blobStream struct {
	*blobSource

	ctx     context.Context
	partial *durable.Partial // what came; nil: nothing is kept
	note    string
	body    io.ReadCloser // from done on; nil: it is to be asked for

	done, resumed, fetched int64
	attempts, failures     int
}

func (b *blobStream) drop() {
	if b.partial != nil {
		_ = b.partial.Close() // it is of no use
		b.partial = nil
	}
}

func (b *blobStream) Read(data []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	if b.done == b.blob.Size {
		return 0, io.EOF
	}
	data = data[:min(int64(len(data)), b.blob.Size-b.done)]
	if b.done < b.resumed {
		data = data[:min(int64(len(data)), b.resumed-b.done)]
		if err := vfs.ReadFull(b.partial, data, b.done); err != nil {
			return 0, fmt.Errorf("read what an earlier run left: %w", err)
		}
		b.done += int64(len(data))
		return len(data), nil
	}
	for {
		count, err := b.next(data)
		if count > 0 {
			b.failures = 0
			return count, nil
		}
		if b.failures++; b.ctx.Err() != nil || b.failures >= blobTriesMax || !again(err) {
			return 0, err
		}
	}
}

// again says that another try may help: the registry, or the way to it, broke off.
func again(err error) bool {
	switch err.(type) { //nolint:errorlint // what the program itself says is final
	case *Error, *AnswerError:
		return false
	}
	return true
}

// next reads bytes of the registry.
func (b *blobStream) next(data []byte) (int, error) {
	if b.body == nil {
		b.attempts++
		body, err := b.engine.openBlob(b.ctx, b.ref, b.blob, b.done)
		if err != nil {
			return 0, err
		}
		b.body = body
	}
	count, err := b.body.Read(data)
	if err != nil {
		b.body.Close()
		b.body = nil
		if err == io.EOF && count == 0 {
			err = io.ErrUnexpectedEOF
		}
		err = b.engine.ended(b.ctx, err)
	}
	b.done += int64(count)
	b.fetched += int64(count)
	if b.partial != nil {
		if _, writeErr := b.partial.Write(data[:count]); writeErr != nil {
			b.note = writeErr.Error()
			b.drop()
		}
	}
	return count, err
}

func (b *blobStream) Progress() release.Progress {
	return release.Progress{Done: b.done, Total: b.blob.Size}
}

// Close keeps what came where it is not all, and of use.
func (b *blobStream) Close(keep bool) release.Delivery {
	if b.body != nil {
		b.body.Close()
	}
	if b.partial != nil && (!keep || b.partial.Size() == 0 || b.done == b.blob.Size) {
		_ = b.partial.Remove() // the next run compares it again
	}
	b.drop()
	return release.Delivery{BytesFetched: b.fetched, BytesResumed: b.resumed, Attempts: b.attempts, CacheNote: b.note}
}
