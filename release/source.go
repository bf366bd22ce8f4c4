package release

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"aead.dev/minisign"

	"github.com/tbctl/tbctl/vfs"
)

// An asset is the open source: a stream with the hashes of what was read from it.
type asset struct {
	src           io.Reader
	sum           hash.Hash
	size          int64
	message       *minisign.Reader
	download      *download // nil for local sources
	interruptible bool      // reading ends when the context does
	close         func(keep bool)
}

// open opens the source.
func (a *Artifact) open(ctx context.Context, s *session, f *Fetched) (*asset, error) {
	src := &asset{sum: sha256.New(), close: func(bool) {}}
	switch a.Source {
	case SourceStdin:
		src.src = &local{ctx: ctx, src: a.options.Stdin, total: -1, report: s.report}
	case SourceDirectory, SourceFile:
		file, info, err := vfs.OpenFile(a.path, nil)
		if err != nil {
			return nil, openError(a.path, err)
		}
		if info.IsDir() {
			err = fmt.Errorf("%w: %s is a directory", ErrNotFound, a.path)
		}
		if err == nil && info.Mode().IsRegular() && info.Size() > AssetSizeMax {
			err = fmt.Errorf("%s: %w: %d bytes, at most %d are read", a.path, ErrTooLarge, info.Size(), int64(AssetSizeMax))
		}
		if err != nil {
			file.Close()
			return nil, err
		}
		total := int64(-1)
		if info.Mode().IsRegular() {
			total = info.Size()
		}
		src.src, src.interruptible = &local{ctx: ctx, src: file, total: total, report: s.report}, info.Mode().IsRegular()
		src.close = func(bool) { file.Close() }
	default:
		src.download = a.newDownload(ctx, s, src.sum, f)
		src.src, src.interruptible = src.download, true
	}
	if a.options.PublicKey != "" {
		src.message = minisign.NewReader(src.src)
		src.src = src.message
	}
	return src, nil
}

// Read reads the source and hashes it. A download hashes for itself.
func (s *asset) Read(p []byte) (int, error) {
	n, err := s.src.Read(p)
	s.size += int64(n)
	if s.download == nil {
		s.sum.Write(p[:n])
	}
	return n, err
}

// A local source is a file or standard input.
type local struct {
	ctx    context.Context
	src    io.Reader
	done   int64
	total  int64
	report *reporter
}

func (l *local) Read(p []byte) (int, error) {
	if l.ctx.Err() != nil {
		return 0, context.Cause(l.ctx)
	}
	n, err := l.src.Read(p)
	l.done += int64(n)
	if l.done > AssetSizeMax {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, int64(AssetSizeMax))
	}
	l.report.bytes(Progress{Done: l.done, Total: l.total})
	return n, err
}

func openError(path string, err error) error {
	if os.IsNotExist(err) {
		return fmt.Errorf("%w: there is no file %s", ErrNotFound, path)
	}
	return fmt.Errorf("open the release: %w", err)
}

// errDangling is said of a name that is there, and cannot be read.
var errDangling = errors.New("it is a symbolic link that leads to nothing")

// beside reads a small file that stands in the same place as the asset. The error matches ErrNotFound
// when there is none: a symbolic link that leads to nothing is there, and cannot be read.
func (a *Artifact) beside(ctx context.Context, s *session, name string, most int64) ([]byte, error) {
	if a.url == nil {
		path := filepath.Join(filepath.Dir(a.path), name)
		b, err := readFileBounded(path, most)
		if !os.IsNotExist(err) {
			return b, err
		}
		if _, there := os.Lstat(path); there == nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: errDangling}
		}
		return nil, openError(path, err)
	}
	u := *a.url
	u.RawPath = ""
	u.Path = u.Path[:len(u.Path)-len(lastElement(u.Path))] + name
	return s.small(ctx, &u, nil, most)
}

// newDownload prepares the transfer of the artifact's URL.
func (a *Artifact) newDownload(ctx context.Context, s *session, sum hash.Hash, f *Fetched) *download {
	d := &download{
		ctx: ctx, client: s.client, url: a.url, patience: newPatience(a.options.Retry, s.way.isFailing(s.client.server(a.url))), report: s.report, sum: sum, total: -1,
	}
	if f.Restarts == 0 {
		var err error
		if d.partial, err = openPartial(a.options.CacheDir, a.url); err != nil {
			f.CacheNote = err.Error()
		}
	}
	if a.Source == SourceGitHub {
		d.notFound = func(ctx context.Context) string { return a.whyNotFound(ctx, s) }
	}
	return d
}

// whyNotFound tells a release without the asset from one that does not exist. It needs no API.
func (a *Artifact) whyNotFound(ctx context.Context, s *session) string {
	if a.Tag == Latest {
		return fmt.Sprintf("the newest release has no %s", a.Asset)
	}
	u, err := url.Parse(a.options.BaseURL + "/releases/tag/" + string(a.Tag))
	if err != nil {
		return ""
	}
	resp, err := s.client.do(ctx, http.MethodHead, u, nil)
	if err != nil {
		return ""
	}
	resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return fmt.Sprintf("release %s exists, but has no %s", a.Tag, a.Asset)
	case http.StatusNotFound:
		return fmt.Sprintf("there is no release %s", a.Tag)
	}
	return ""
}
