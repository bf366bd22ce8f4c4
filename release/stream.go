package release

import (
	"context"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/vfs"
)

// stream moves the bytes: one goroutine reads and hashes the asset, this one unpacks, one writes
// the executable and one hashes it. It returns when all have ended, except for a read that nothing can end.
func (a *Artifact) stream(ctx context.Context, stop func(), src *asset, out *output, f *Fetched) error {
	ended := context.Background()
	if !src.interruptible {
		ended = ctx // whoever waits for it must not wait for ever
	}
	in, back := newPipe(ended), newPipe(context.Background())
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
	if src.interruptible || err == nil {
		<-readDone
	}
	return err
}

// unpack finds out what the asset is and writes the executable in it.
func (a *Artifact) unpack(src io.Reader, out io.Writer, f *Fetched) error {
	prefix := make([]byte, archive.SniffSize)
	n, err := io.ReadFull(src, prefix)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	prefix = prefix[:n]
	f.Kind = archive.Sniff(prefix)
	whole := io.MultiReader(strings.NewReader(string(prefix)), src)
	switch {
	case f.Kind == archive.KindZip:
		r, err := archive.NewReader(whole, archive.Limits{})
		if err != nil {
			return err
		}
		_, err = r.WriteTo(out)
		if err != nil {
			return err
		}
		entry := r.Entry()
		f.EntryName, f.EntryMode = entry.Name, vfs.Mode(entry.Mode.Perm())
		return nil
	case f.Kind.Executable():
		n, err := io.Copy(out, io.LimitReader(whole, archive.SizeMaxDefault+1))
		if err == nil && n > archive.SizeMaxDefault {
			return fmt.Errorf("%w: the executable has more than %d bytes", ErrTooLarge, int64(archive.SizeMaxDefault))
		}
		return err
	}
	return &KindError{Location: a.Location, Kind: f.Kind}
}

// An output is the destination, with what is needed to begin anew.
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
