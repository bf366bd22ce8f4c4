package release

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/tbctl/tbctl/vfs"
)

// A Source is where an asset's bytes are. It does not vouch for them: see [Voucher].
type Source interface {
	// Open begins to read them, from the first one. Reading ends when ctx does. read is the SHA-256 of what was
	// read from the stream so far, which its reader keeps: a source that has to ask for bytes again compares with it.
	Open(ctx context.Context, read hash.Hash) (Stream, error)
	// Beside reads a small file in the same place. The error matches [ErrNotFound] when there is none.
	Beside(ctx context.Context, name string, sizeMax int64) ([]byte, error)
}

// A Stream is an asset's bytes as they come. Its errors are final.
type Stream interface {
	io.Reader
	// Progress is how far it is.
	Progress() Progress
	// Close ends it and says what it took. With keep, what came may be of use to the next one.
	Close(keep bool) Delivery
}

// A Delivery says what it took to get the bytes. It is zero for those of this host.
type Delivery struct {
	// FinalURL is where redirects led, without credentials and query.
	FinalURL string `json:"final_url,omitempty"`
	// Validator is the strong ETag or the Last-Modified under which the server gave the bytes.
	Validator    string `json:"validator,omitempty"`
	BytesFetched int64  `json:"bytes_fetched"` // over the network, repetitions included
	BytesResumed int64  `json:"bytes_resumed"` // received by an earlier run
	BytesHeld    int64  `json:"bytes_held"`    // that this host had, see [Options.Held]
	// BytesDelta are those of BytesFetched that came as a delta: what this host lacked, compressed with what it had.
	BytesDelta int64 `json:"bytes_delta"`
	Attempts   int   `json:"attempts"` // requests for the asset
	// HeldNote says why more came over the network than this host lacks, as far as the server is to blame, and HeldDamage which
	// executable of this host is damaged and was fetched.
	HeldNote   string `json:"held_note,omitempty"`
	HeldDamage string `json:"held_damage,omitempty"`
	// DeltaNote says why a delta that the server offers was not used, or not to its end.
	DeltaNote string `json:"delta_note,omitempty"`
	// CacheNote says why nothing could be kept for a later run, empty when there was no obstacle.
	CacheNote string `json:"cache_note,omitempty"`

	Latest      Tag    `json:"-"` // what the URLs that led there say that "latest" stands for
	ContentType string `json:"-"` // as the server stated it
	Kept        bool   `json:"-"` // what came is kept
}

// A webSource is on the network.
type webSource struct {
	*session
	url *url.URL
	zip bool // what is there is known to be compressed
	// notFound, where it is not nil, says what a 404 means.
	notFound func(ctx context.Context) string
	// beside is where another file of the same place is; nil: at another last element of the URL's path.
	beside func(name string) (*url.URL, error)
}

// Open begins a download. A server that could not be reached when it was asked for something else is not called again.
func (w *webSource) Open(ctx context.Context, read hash.Hash) (Stream, error) {
	server := w.client.server(w.url)
	if silence := w.silent[server]; silence != nil {
		return nil, &TransferError{URL: redacted(w.url), Total: -1, Attempts: silence.attempts, Err: silence.err}
	}
	d := &download{from: w, ctx: ctx, patience: newPatience(w.options.Retry, w.failing[server]), sum: read, total: -1, until: -1}
	if w.options.Held != nil && !w.zip {
		d.heldNote, d.deltaNote = w.whole, w.noDelta
	}
	d.partial, d.unkept = openPartial(w.options.CacheDir, w.url)
	return d, nil
}

// Beside asks for a file by the rule by which the asset is found.
func (w *webSource) Beside(ctx context.Context, name string, sizeMax int64) ([]byte, error) {
	if signedAlone(w.url) {
		return nil, errSigned
	}
	u := w.sibling(name)
	if w.beside != nil {
		var err error
		if u, err = w.beside(name); err != nil {
			return nil, err
		}
	}
	b, err := w.small(ctx, name, u, nil, sizeMax)
	if err != nil && ctx.Err() == nil && !errors.As(err, new(*HTTPError)) { // which names it
		err = fmt.Errorf("%s: %w", redacted(u), err)
	}
	return b, err
}

// errSigned says that a URL leads to nothing else than its file.
var errSigned = errors.New("the URL is signed for its file alone, so nothing beside that can be asked for")

// signedAlone reports whether the query of a URL is a signature that is good for its path alone, as that of a presigned one is: of Amazon's
// S3 and stores that speak as it does, of Google's, of CloudFront, and of Azure for one blob.
func signedAlone(u *url.URL) bool {
	query := u.Query()
	return query.Has("X-Amz-Signature") || query.Has("X-Goog-Signature") || query.Has("Signature") || query.Has("sig") && query.Get("sr") != "c"
}

// sibling is another last element of the URL's path.
func (w *webSource) sibling(name string) *url.URL {
	u := *w.url
	u.RawPath = ""
	u.Path = u.Path[:len(u.Path)-len(lastElement(u.Path))] + name
	return &u
}

// unchanged asks for the headers alone, and reports whether the server still has the file that it gave under a
// strong ETag.
func (w *webSource) unchanged(ctx context.Context, validator string, size int64) bool {
	if w.silent[w.client.server(w.url)] != nil {
		return false
	}
	resp, err := w.client.do(ctx, http.MethodHead, w.url, nil)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK && validatorOf(resp.Header) == validator && (resp.ContentLength < 0 || resp.ContentLength == size)
}

// A fileSource is a file of this host, by its path.
type fileSource string

// Open opens the file. What is no regular file may come late, or never; a device is not opened, since that does
// something to some.
func (f fileSource) Open(ctx context.Context, _ hash.Hash) (Stream, error) {
	opened, info, err := vfs.OpenFile(string(f), func(mode fs.FileMode) error {
		if mode&fs.ModeDevice != 0 {
			return errDevice
		}
		return nil
	})
	if err != nil {
		return nil, openError(string(f), err)
	}
	switch {
	case info.IsDir():
		err = fmt.Errorf("%w: %s is a directory", ErrNotFound, string(f))
	case !info.Mode().IsRegular():
		return &localStream{ctx: ctx, src: &namedPipe{Reader: vfs.Interruptible(ctx, opened), path: string(f)}, total: -1, close: opened.Close}, nil
	case info.Size() > AssetSizeMax:
		err = fmt.Errorf("%s: %w: %d bytes, at most %d are read", string(f), ErrTooLarge, info.Size(), int64(AssetSizeMax))
	}
	if err != nil {
		opened.Close()
		return nil, err
	}
	return &localStream{ctx: ctx, src: opened, total: info.Size(), close: opened.Close}, nil
}

// A namedPipe is a stream with a name. One into which nothing writes ends at once, and is no empty artifact.
type namedPipe struct {
	io.Reader
	path string
	came bool
}

// Read reads what was written.
func (p *namedPipe) Read(data []byte) (int, error) {
	count, err := p.Reader.Read(data)
	if p.came = p.came || count > 0; errors.Is(err, io.EOF) && !p.came {
		return 0, fmt.Errorf("%s: %w", p.path, ErrUnwritten)
	}
	return count, err
}

// ErrUnwritten says that a pipe was named, and nothing writes into it.
var ErrUnwritten = errors.New("it is a pipe, and nothing writes into it")

// Beside reads a file of the same directory. A symbolic link that leads to nothing is there, and cannot be read.
func (f fileSource) Beside(_ context.Context, name string, sizeMax int64) ([]byte, error) {
	path := filepath.Join(filepath.Dir(string(f)), name)
	b, err := readFileBounded(path, sizeMax)
	if !os.IsNotExist(err) {
		return b, err
	}
	if _, there := vfs.Lstat(path); there == nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errDangling}
	}
	return nil, openError(path, err)
}

// errDevice is said of a device.
var errDevice = errors.New("it is a device, and not a file")

// errDangling is said of a name that is there, and cannot be read.
var errDangling = errors.New("it is a symbolic link that leads to nothing")

func openError(path string, err error) error {
	if os.IsNotExist(err) {
		return fmt.Errorf("%w: there is no file %s", ErrNotFound, path)
	}
	return fmt.Errorf("open the release: %w", err)
}

// A stdinSource is what another program sends.
type stdinSource struct{ io.Reader }

// Open reads on where the last one stopped reading.
func (s stdinSource) Open(ctx context.Context, _ hash.Hash) (Stream, error) {
	return &localStream{ctx: ctx, src: vfs.Interruptible(ctx, s.Reader), total: -1, close: func() error { return nil }}, nil
}

// Beside fails with errNoPlace.
func (s stdinSource) Beside(context.Context, string, int64) ([]byte, error) { return nil, errNoPlace }

// errNoPlace says that a source is in no place where something else could be.
var errNoPlace = errors.New("there is nothing beside standard input")

// A localStream is of a file or of standard input.
type localStream struct {
	ctx         context.Context
	src         io.Reader
	done, total int64
	close       func() error
}

func (l *localStream) Read(p []byte) (int, error) {
	if l.ctx.Err() != nil {
		return 0, context.Cause(l.ctx)
	}
	n, err := l.src.Read(p)
	l.done += int64(n)
	return n, err
}

func (l *localStream) Progress() Progress { return Progress{Done: l.done, Total: l.total} }

func (l *localStream) Close(bool) Delivery {
	l.close()
	return Delivery{}
}
