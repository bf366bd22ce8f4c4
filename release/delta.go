package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/multiversion"
)

// A server may make deltas of a file, and says where in a header of its answer. It is told which executables this host has, and sends how
// the file is put together of them, and the rest compressed with one of them as dictionary. Then nothing is asked for in parts. What
// of it cannot be had, or is not well-formed, is asked for as if there was no delta.

const (
	// deltaTriesMax is how often a delta is asked for, each time without an executable that turned out to be damaged.
	deltaTriesMax = 4
	// deltaSlack is how many bytes more than a delta's own size may come of it: of what compresses badly, in whatever blocks.
	deltaSlack = 256 << 10
)

// deltaOf is where the server of an answer makes deltas of its file; nil: nowhere that is asked. One that was redirected to is
// another server than the one that was meant, and one that points elsewhere is not followed.
func (d *download) deltaOf(resp *http.Response) *url.URL {
	said := resp.Header.Get(delta.Header)
	if said == "" || d.from.session.noDelta != "" || resp.Request.Response != nil {
		return nil
	}
	reference, err := url.Parse(said)
	if err != nil || reference.IsAbs() || reference.Host != "" || reference.User != nil || reference.Opaque != "" {
		return nil
	}
	where := d.from.url.ResolveReference(reference)
	where.RawQuery, where.Fragment = "", ""
	return where
}

// viaDelta asks for a delta of the file; nil: there is none that is of use. The error is the context's.
func (d *download) viaDelta(where *url.URL) (*assembly, error) {
	files := d.openHeld()
	if files == nil {
		return nil, nil
	}
	for range deltaTriesMax {
		held := files.Newest(delta.HeldMax)
		if len(held) == 0 {
			return nil, nil
		}
		made, err := d.askDelta(where, held)
		var seed *delta.SeedError
		switch {
		case err == nil:
			return made, nil
		case d.ctx.Err() != nil:
			return nil, context.Cause(d.ctx)
		case !errors.As(err, &seed):
			d.deltaNote = err.Error()
			return nil, nil
		}
		d.damage = heldFault(files, seed)
		delete(files.Held, seed.Checksum)
	}
	d.deltaNote = "too much of what it is made with is damaged here"
	return nil, nil
}

// askDelta asks for a delta for a host that has these executables, each of which is read once before it is relied on. One that is
// damaged is a [*delta.SeedError].
func (d *download) askDelta(where *url.URL, held []multiversion.Checksum) (*assembly, error) {
	asked := *where
	asked.RawQuery = delta.QueryHeld + "=" + delta.FormatHeld(held) // of digits and commas
	d.attempts++
	resp, err := d.from.client.get(d.ctx, &asked, nil)
	if err != nil {
		return nil, err
	}
	encoding := resp.Header.Get("Content-Encoding")
	switch {
	case resp.StatusCode != http.StatusOK:
		err = answerError(resp, "")
	case encoding != "" && encoding != "identity":
		err = protocolError("it is encoded as %.20q, which was not asked for", encoding)
	}
	var made *assembly
	if err == nil {
		made, err = d.assembleDelta(resp.Body)
	}
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	made.rest.body = resp.Body
	return made, nil
}

// assembleDelta reads how the file is put together.
func (d *download) assembleDelta(body io.Reader) (*assembly, error) {
	came := &deltaBody{Reader: body, download: d, left: delta.HeadSizeMax + d.total + deltaSlack}
	head, compressed, err := delta.ReadHead(came)
	if err != nil {
		return nil, err
	}
	if head.Recipe.Size != d.total {
		return nil, fmt.Errorf("it makes a file of %d bytes, and this one has %d", head.Recipe.Size, d.total)
	}
	made := &assembly{rest: &rest{}}
	at := int64(0)
	for _, segment := range head.Recipe.Segments {
		extent := multiversion.Extent{Offset: at, Size: segment.Size}
		at = extent.End()
		if segment.Executable == nil {
			continue
		}
		source, here := d.held.Held[*segment.Executable]
		if !here || source.Size() != segment.Size {
			return nil, fmt.Errorf("it needs the executable %s, which is not here", segment.Executable)
		}
		if err := d.held.Check(d.ctx, *segment.Executable, segment.Size); err != nil {
			return nil, err
		}
		made.have = append(made.have, have{Extent: extent, source: source, checksum: segment.Executable})
	}
	if head.Dictionary != nil && d.held.Held[*head.Dictionary] == nil {
		return nil, fmt.Errorf("it needs the executable %s, which is not here", head.Dictionary)
	}
	_, lacking := head.Recipe.Lacking()
	came.left = lacking + deltaSlack
	made.rest.inflated, err = head.Inflate(d.held.Held, compressed)
	return made, err
}

// deltaBody is what comes of a delta. There is a bound for it, as blocks of nothing can be sent for ever.
type deltaBody struct {
	io.Reader

	download *download
	left     int64
}

func (b *deltaBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, protocolError("it is longer than what it makes")
	}
	n, err := b.Reader.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	b.download.fetched += int64(n)
	b.download.deltaCame += int64(n)
	b.download.patience.received(n)
	return n, err
}

// rest is what this host lacks of a file, in its order.
type rest struct {
	body     io.Closer
	inflated io.ReadCloser
	done     int64 // bytes that were read
}

// restAt reads what the host lacks at an offset that no stretch has. What an earlier run received of it is passed over.
func (a *assembly) restAt(p []byte, offset int64) (int, error) {
	before := offset
	for index := range a.have {
		h := &a.have[index]
		before -= max(0, min(offset-h.Offset, h.Size))
	}
	skipped, err := io.CopyN(io.Discard, a.rest.inflated, before-a.rest.done)
	a.rest.done += skipped
	n := 0
	if err == nil {
		n, err = a.rest.inflated.Read(p)
		a.rest.done += int64(n)
	}
	if n == 0 && errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// leaveRest gives up on the rest of a delta. What this host has stays.
func (a *assembly) leaveRest() {
	if a != nil && a.rest != nil {
		a.rest.inflated.Close()
		a.rest.body.Close()
		a.rest = nil
	}
}
