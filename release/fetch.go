package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
)

// restartsMax is how often a Fetch begins again because the file turned out to be another one.
const restartsMax = 3

// Fetched says what came, and from where. For "latest" the tag is the one that it stood for, empty when that is
// not known.
type Fetched struct {
	About
	Delivery
	// Kind is what the asset is: "zip" or a kind of executable.
	Kind string `json:"kind"`

	AssetSize        int64  `json:"asset_size"` // bytes
	AssetSHA256      string `json:"asset_sha256"`
	ExecutableSize   int64  `json:"executable_size"` // bytes
	ExecutableSHA256 string `json:"executable_sha256"`
	EntryName        string `json:"entry_name,omitempty"` // in the zip
	// EntryMode is the permission in the zip, 0 if it states none.
	EntryMode vfs.Mode `json:"entry_mode,omitempty"`

	Restarts int `json:"restarts"` // how often everything was fetched again
	// TokenNote says why the token was not taken, and that GitHub was asked without it. Empty otherwise.
	TokenNote string `json:"token_note,omitempty"`

	Evidence []Evidence `json:"evidence"`
	// Trusted says that at least one piece of evidence held. Without it nothing but TLS and checksums in
	// the files themselves vouches for the bytes: those find damage, not forgery.
	//
	// It is as good as what held, which Evidence names. SHA256SUMS comes from where the asset comes from: it
	// proves that the two belong together, and finds damage and a half-updated mirror. Whoever can change
	// the asset there, or on the way when it is plain http, can change the list too. Against them stand a
	// digest that the caller got elsewhere, GitHub's for a mirror's file, and a signature.
	Trusted bool `json:"trusted"`
}

// Subject is what advisories are asked about the executable that came: of a release, and with this digest.
func (f *Fetched) Subject(current multiversion.Release, digest string) advisory.Subject {
	return advisory.Subject{About: advisory.AboutFile, Release: current, SHA256: []string{digest, f.AssetSHA256}, Tag: string(f.Tag)}
}

// Fetch streams the executable to dst: out of the zip while that arrives, or as it is when the source
// is the executable itself. It keeps to a few MiB of memory.
//
// On nil dst has received the whole executable, everything stated about it has held, and what is
// required did. On an error dst has received any part of anything, and must not be used; the result
// then tells how far it came. After an interrupted download what came is kept in Options.CacheDir, for
// the next Fetch of the same URL, unless that would end in the same way.
//
// When the bytes turn out to be another file's half way, dst starts over if it has a method
// Reset() error, which must make it empty; without one the error matches [ErrChanged].
//
// Errors: [*ArtifactError] where the artifact is to blame, [*UnavailableError] when what is to vouch for it
// could not be had, [*TransferError] (it wraps [*HTTPError] and others), [ErrNotFound], [ErrOption], the
// context's, and what dst returned. dst is written to from another goroutine, but never after Fetch has
// returned. A read of Options.Stdin may outlast an error.
func (a Artifact) Fetch(ctx context.Context, dst io.Writer) (Fetched, error) {
	f := Fetched{About: a.About, Evidence: []Evidence{}}
	if err := a.begin(); err != nil {
		return f, err
	}
	defer a.session.end()
	a.session.whole, a.session.noDelta = "", ""
	claims, err := a.gather(ctx)
	a.session.needsDigest(claims)
	f.About, f.TokenNote = a.About, a.session.refusal
	if f.Tag == Latest {
		f.Tag = ""
	}
	out := &output{dst: dst}
	for err == nil {
		err = a.fetchOnce(ctx, claims, out, &f)
		if err == nil {
			return f, nil
		}
		if f.Restarts >= restartsMax || !worthRestart(err, &f) || ctx.Err() != nil {
			break
		}
		if reset := out.reset(); reset != nil {
			return f, fmt.Errorf("%w (after: %w)", reset, err)
		}
		a.session.leaveHeld(&f, err)
		f.Restarts++
		f.BytesResumed, err = 0, nil
	}
	return f, a.final(err, &f)
}

// final makes an error fit for the caller: the transfer's own without what stood on the way, an
// [*ArtifactError] where the artifact is to blame, and a judgement's evidence in the result too.
func (a *Artifact) final(err error, f *Fetched) error {
	var (
		restart     *errRestart
		transfer    *TransferError
		trust       *TrustError
		kind        *KindError
		format      *archive.FormatError
		unavailable *UnavailableError
	)
	switch {
	case errors.As(err, &restart):
		return &TransferError{URL: a.Location, Total: -1, Attempts: f.Attempts, Err: fmt.Errorf("%w again and again: %w", ErrChanged, restart)}
	case errors.As(err, &unavailable):
		f.Evidence = unavailable.Evidence
	case a.Source.sent() && errors.Is(err, archive.RuleTruncated):
		return fmt.Errorf("%w: %w", ErrEndedEarly, err)
	case errors.As(err, &trust):
		f.Evidence = trust.Evidence
		return &ArtifactError{a.Location, err}
	case errors.As(err, &kind), errors.As(err, &format), errors.Is(err, ErrTooLarge):
		return &ArtifactError{a.Location, err}
	case errors.As(err, &transfer):
		return transfer
	}
	return err
}

// worthRestart reports whether beginning again may help: the server's file changed, or what an earlier
// run left is damaged.
func worthRestart(err error, f *Fetched) bool {
	if errors.As(err, new(*errRestart)) {
		return true
	}
	var trust *TrustError
	wrong := errors.As(err, new(*archive.FormatError)) || errors.As(err, new(*KindError)) || errors.As(err, &trust) && trust.Failed()
	return wrong && f.BytesResumed+f.BytesHeld+f.BytesDelta > 0
}

// resumable reports whether a later Fetch can go on where this one ended: the bytes are not wrong, and the
// next request would not end at the same place for the same reason.
func resumable(err error) bool {
	switch {
	case err == nil, errors.Is(err, ErrTooLarge), errors.Is(err, errProtocol):
		return false
	}
	return !errors.As(err, new(*archive.FormatError)) && !errors.As(err, new(*KindError)) &&
		!errors.As(err, new(*TrustError)) && !errors.As(err, new(*errRestart))
}

// fetchOnce is one try from the first byte to the last: open, stream, judge.
func (a *Artifact) fetchOnce(ctx context.Context, claims []Claim, out *output, f *Fetched) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in := &incoming{sum: sha256.New(), sizeMax: sizeMax(claims), progress: &a.session.progress}
	var err error
	if in.Stream, err = a.source.Open(ctx, in.sum); err != nil {
		var transfer *TransferError
		if errors.As(err, &transfer) {
			f.Attempts += transfer.Attempts
		}
		return err
	}
	watchers := make([]Watcher, len(claims))
	for i, c := range claims {
		if c.open() && c.Watch != nil {
			watchers[i] = c.Watch()
			in.watchers = append(in.watchers, watchers[i])
		}
	}
	out.sum = sha256.New()
	if err = a.stream(ctx, cancel, in, out, f); err == nil {
		f.AssetSize, f.AssetSHA256 = in.size, hexSum(in.sum)
		f.ExecutableSize, f.ExecutableSHA256 = out.written, hexSum(out.sum)
		f.Evidence, err = a.judge(claims, measured{
			assetSHA256: f.AssetSHA256, executableSHA256: f.ExecutableSHA256,
			assetSize: f.AssetSize, executableSize: f.ExecutableSize, watchers: watchers,
		})
		f.Trusted = err == nil && AnyHeld(f.Evidence)
	}
	took := in.Close(resumable(err) || err == nil && a.options.Keep)
	took.BytesFetched += f.BytesFetched
	took.Attempts += f.Attempts
	if f.Kind == string(archive.KindZip) {
		took.HeldNote, took.DeltaNote = "", "" // nothing of it can be here
	}
	f.Delivery = took
	if took.Latest != "" && a.Tag == Latest {
		f.Tag = took.Latest
	}
	if kind := (*KindError)(nil); errors.As(err, &kind) {
		kind.ContentType = took.ContentType
	}
	if transfer := (*TransferError)(nil); errors.As(err, &transfer) {
		transfer.Kept = took.Kept
	}
	return err
}

// An incoming asset is read with its hash, and in front of those who watch it.
type incoming struct {
	Stream
	sum      hash.Hash
	size     int64
	sizeMax  int64
	watchers []Watcher
	progress *reporter
}

// sizeMax is how many bytes an asset may have.
func sizeMax(claims []Claim) int64 {
	most := int64(AssetSizeMax)
	for _, c := range claims {
		if c.open() && c.Bounded {
			most = min(most, c.Length)
		}
	}
	return most
}

func (in *incoming) Read(p []byte) (int, error) {
	n, err := in.Stream.Read(p)
	if in.size += int64(n); in.size > in.sizeMax {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, in.sizeMax)
	}
	in.sum.Write(p[:n])
	for _, watcher := range in.watchers {
		if _, failed := watcher.Write(p[:n]); failed != nil {
			return n, failed
		}
	}
	in.progress.report(in.Progress())
	return n, err
}

// stream moves the bytes: one goroutine reads and hashes the asset, this one unpacks, one writes
// the executable and one hashes it. It returns when all have ended.
func (a *Artifact) stream(ctx context.Context, stop func(), src io.Reader, out *output, f *Fetched) error {
	in, back := newPipe(), newPipe()
	readDone, writeDone := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(readDone)
		in.fill(src)
	}()
	go func() { writeDone <- back.drain(out, out.sum) }()
	err := a.unpack(in, back, f)
	back.finish(err)
	if failed := <-writeDone; err == nil {
		err = failed
	}
	in.abandon(err)
	if err != nil {
		stop()
	}
	<-readDone
	return err
}

// unpack finds out what the asset is and writes the executable in it.
func (a *Artifact) unpack(src io.Reader, out io.Writer, f *Fetched) error {
	prefix := make([]byte, archive.HeaderSize)
	n, err := io.ReadFull(src, prefix)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	kind := archive.Sniff(prefix[:n])
	f.Kind = string(kind)
	whole := io.MultiReader(bytes.NewReader(prefix[:n]), src)
	switch {
	case kind == archive.KindEmpty && a.Source.sent():
		return archive.EndedEarly(nil, 0)
	case kind == archive.KindZip:
		r, err := archive.NewReader(whole)
		if err != nil {
			return err
		}
		if _, err = r.WriteTo(out); err != nil {
			return err
		}
		entry := r.Entry()
		f.EntryName, f.EntryMode = entry.Name, vfs.Mode(entry.Mode.Perm())
		return nil
	case kind.Executable():
		size, err := io.Copy(out, io.LimitReader(whole, archive.SizeMax+1))
		switch {
		case err == nil && size > archive.SizeMax:
			return fmt.Errorf("%w: the executable has more than %d bytes", ErrTooLarge, int64(archive.SizeMax))
		case err == nil && a.Source.sent():
			return archive.EndedEarly(prefix[:n], size)
		}
		return err
	}
	return &KindError{Location: a.Location, Kind: string(kind)}
}

// An output is the destination, with what is needed to begin again.
type output struct {
	dst     io.Writer
	written int64
	sum     hash.Hash
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.dst.Write(p)
	o.written += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

func (o *output) reset() error {
	if o.written == 0 {
		return nil
	}
	resetter, ok := o.dst.(interface{ Reset() error })
	if !ok {
		return fmt.Errorf("%w: the destination cannot start over", ErrChanged)
	}
	if err := resetter.Reset(); err != nil {
		return fmt.Errorf("start over: %w", err)
	}
	o.written = 0
	return nil
}
