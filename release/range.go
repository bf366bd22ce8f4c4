package release

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/multiversion"
)

// What a host has of a multiversion binary is not fetched. A server that gives parts of a file is asked for the first bytes, for the headers that
// say of which executables the file consists, and then, in the order of the file, for what this host does not have. What comes out is
// the same stream of bytes as that of a whole file, and it is hashed and judged as that is.

const (
	// headSize is how much of a file is asked for at once to find its headers, and how large an executable must be that is
	// worth another request.
	headSize = 64 << 10
	// headsMax is how often that is asked for.
	headsMax = 6
	// probesMax is how often it is begun to ask for the headers.
	probesMax = 3
)

// assembly is what a download has not to ask for.
type assembly struct {
	have []have // of what this host has first, then of what came already
	rest *rest  // of a delta; nil: the rest is asked for in parts
}

// have is a stretch of the file that is here.
type have struct {
	multiversion.Extent

	source   io.ReaderAt            // of the stretch alone
	checksum *multiversion.Checksum // of an executable of this host
	hash     *multiversion.Hash     // while it is read from its first byte on
}

// at returns the stretch that an offset is in, nil for none, and where another one begins.
func (a *assembly) at(offset, total int64) (in *have, next int64) {
	if a == nil {
		return nil, total
	}
	for i := range a.have {
		each := &a.have[i]
		switch {
		case each.Offset > offset:
			total = min(total, each.Offset)
		case offset < each.End():
			return each, min(total, each.End()) // what came gives way to an executable of this host, which is read whole
		}
	}
	return nil, total
}

// openHeld opens what this host has of releases, once.
func (d *download) openHeld() *delta.Files {
	if !d.opened {
		d.opened, d.held = true, d.from.session.options.Held()
	}
	return d.held
}

// leavePlan gives up on what this host has of the file.
func (d *download) leavePlan() {
	d.plan.leaveRest()
	d.plan = nil
	if d.held != nil {
		d.held.Close()
		d.held = nil
	}
}

// whyWhole says why a file is fetched whole although this host may have parts of it.
type whyWhole string

func (w whyWhole) Error() string { return string(w) }

// mayAssemble reports whether it is still to be found out if this host has parts of the file.
func (d *download) mayAssemble() bool {
	s := d.from.session
	if p := d.partial; p != nil && p.have > 0 && p.have == p.head.Total && d.attempts == 0 {
		return false // all of it was kept
	}
	return !d.probed && !d.from.zip && s.options.Held != nil && s.whole == "" && d.offset == 0
}

// probe asks for the head of the file, and finds out of what it consists. Its body is then that of the whole file, or there is
// none and an assembly, or neither and the next request is for all of it.
func (d *download) probe() error {
	if d.probes++; d.probes > probesMax {
		d.fetchWhole("its headers did not come in parts")
		return nil
	}
	if d.partial != nil && d.partial.have > 0 {
		d.validator, d.total, d.ahead = d.partial.head.Validator, d.partial.head.Total, d.partial.have
	}
	resp, err := d.askPart(0, headSize-1)
	if err != nil {
		return err
	}
	var whole whyWhole
	var head []byte
	var made *assembly
	switch resp.StatusCode {
	case http.StatusOK:
		d.probed, d.heldNote = true, "the server sends no parts of a file"
		return d.take(resp, 0, false)
	case http.StatusPartialContent:
		head, made, err = d.head(resp)
	case http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		err = whyWhole("the server sends no parts of this file")
	default:
		return d.take(resp, 0, false)
	}
	resp.Body.Close()
	switch {
	case errors.As(err, &whole):
		d.fetchWhole(whole)
		return nil
	case err != nil:
		return err
	}
	d.answer = resp
	if d.ahead == 0 {
		d.partial.begin(d.validator, d.total, time.Now())
	}
	if made == nil {
		made, err = d.assemble(head)
	}
	switch {
	case errors.As(err, &whole):
		d.fetchWhole(whole)
		return nil
	case err != nil:
		return err
	}
	d.probed, d.plan = true, made
	return nil
}

// fetchWhole gives up on parts.
func (d *download) fetchWhole(why whyWhole) {
	d.probed, d.heldNote = true, string(why)
	d.forget()
}

// askPart asks for bytes of the file, which must still be the one that the validator is of.
func (d *download) askPart(first, last int64) (*http.Response, error) {
	header := http.Header{}
	header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
	if d.validator != "" {
		header.Set("If-Range", d.validator)
	}
	d.attempts++
	return d.from.client.get(d.ctx, d.from.url, header)
}

// head reads what an answer says of the file, and the first part of it, or how it is put together with a delta.
func (d *download) head(resp *http.Response) ([]byte, *assembly, error) {
	first, last, total, ok := contentRange(resp.Header)
	validator := validatorOf(resp.Header)
	if validator == "" && d.validator != "" && validatorHeld(resp.Header, d.validator) {
		validator = d.validator
	}
	switch {
	case !ok || first != 0 || total < 0 || last != min(total, headSize)-1:
		return nil, nil, whyWhole("the server sent a range that was not asked for")
	case validator == "":
		return nil, nil, whyWhole("the server does not say by a strong ETag which file its parts are of")
	case d.validator != "" && (validator != d.validator || d.total >= 0 && total != d.total):
		return nil, nil, whyWhole("the server sent a part of another file")
	case total > AssetSizeMax:
		return nil, nil, fmt.Errorf("%w: %d bytes, at most %d are downloaded", ErrTooLarge, total, int64(AssetSizeMax))
	}
	said, saidTotal := d.validator, d.total
	d.validator, d.total = validator, total
	if where := d.deltaOf(resp); where != nil {
		if made, err := d.viaDelta(where); made != nil || err != nil {
			return nil, made, err
		}
	}
	data, err := d.part(resp, last+1)
	if err != nil {
		d.validator, d.total = said, saidTotal
	}
	return data, nil, err
}

// part reads the body of a part of this size.
func (d *download) part(resp *http.Response, size int64) ([]byte, error) {
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, protocolError("it is encoded as %.20q, which was not asked for", encoding)
	}
	data := make([]byte, size)
	count, err := io.ReadFull(resp.Body, data)
	d.fetched += int64(count)
	d.patience.received(count)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return data, err
}

// remoteFile reads a file in pieces, for its headers, and keeps them.
type remoteFile struct {
	*download

	pieces []have
	err    error // why a piece could not be had
}

// ReadAt reads from the pieces that came, and asks for one more where they have not what is asked for.
func (r *remoteFile) ReadAt(data []byte, offset int64) (int, error) {
	end := offset + int64(len(data))
	for _, piece := range r.pieces {
		if piece.Offset <= offset && end <= piece.End() {
			return piece.source.ReadAt(data, offset-piece.Offset)
		}
	}
	if r.err == nil {
		r.err = r.ask(offset, end)
	}
	if r.err != nil {
		return 0, r.err
	}
	piece := r.pieces[len(r.pieces)-1]
	return piece.source.ReadAt(data, offset-piece.Offset)
}

// ask asks for a piece that has these bytes in its middle, as others that are asked for next are before them or after.
func (r *remoteFile) ask(offset, end int64) error {
	switch {
	case end > r.total:
		return io.EOF
	case len(r.pieces) == headsMax || end-offset > headSize:
		return whyWhole("its headers are too far apart")
	}
	offset = max(min(offset-(headSize-(end-offset))/2, r.total-headSize), 0)
	last := min(offset+headSize, r.total) - 1
	resp, err := r.askPart(offset, last)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	first, to, total, ok := contentRange(resp.Header)
	switch {
	case resp.StatusCode >= 500:
		return answerError(resp, "")
	case resp.StatusCode != http.StatusPartialContent || !validatorHeld(resp.Header, r.validator):
		return whyWhole("the server's file changed, or it sends no more parts of it")
	case !ok || first != offset || to != last || total >= 0 && total != r.total:
		return whyWhole("the server sent a range that was not asked for")
	}
	data, err := r.part(resp, last-offset+1)
	if err == nil {
		r.pieces = append(r.pieces, pieceOf(offset, data))
	}
	return err
}

func pieceOf(offset int64, data []byte) have {
	return have{Extent: multiversion.Extent{Offset: offset, Size: int64(len(data))}, source: byteReader(data)}
}

// byteReader reads from memory.
type byteReader []byte

func (b byteReader) ReadAt(data []byte, offset int64) (int, error) {
	count := copy(data, b[offset:])
	if count < len(data) {
		return count, io.EOF
	}
	return count, nil
}

// assemble finds out what of the file this host has. What is no multiversion binary has nothing of it.
func (d *download) assemble(head []byte) (*assembly, error) {
	file := &remoteFile{download: d, pieces: []have{pieceOf(0, head)}}
	if !archive.Sniff(head).Executable() {
		return &assembly{have: file.pieces}, nil
	}
	binary, err := multiversion.Parse(file, d.total)
	if file.err != nil && !errors.Is(file.err, io.EOF) {
		return nil, file.err
	}
	var recipe delta.Recipe
	if err == nil {
		recipe, err = delta.Of(binary)
	}
	if err != nil { // what is wrong with it is said when it is here
		return &assembly{have: file.pieces[:1]}, nil
	}
	made := &assembly{}
	err = d.findHeld(made, recipe)
	made.have = append(made.have, made.worth(file.pieces, d.total)...)
	return made, err
}

// worth are the pieces that make no more requests necessary when they are not asked for again: the first, the last, and those
// next to what this host has.
func (a *assembly) worth(pieces []have, total int64) []have {
	return slices.DeleteFunc(pieces, func(piece have) bool {
		beside := func(h have) bool { return h.Offset <= piece.End() && piece.Offset <= h.End() }
		return piece.Offset > 0 && piece.End() < total && !slices.ContainsFunc(a.have, beside)
	})
}

// findHeld adds what this host has. Each executable is read once now, so that one that is damaged is fetched.
func (d *download) findHeld(made *assembly, recipe delta.Recipe) error {
	files := d.openHeld()
	if files == nil {
		return nil
	}
	var here []have
	at := int64(0)
	for _, segment := range recipe.For(files.Held).Segments {
		extent := multiversion.Extent{Offset: at, Size: segment.Size}
		at = extent.End()
		if segment.Executable == nil || segment.Size <= headSize {
			continue
		}
		err := files.Check(d.ctx, *segment.Executable, segment.Size)
		var seed *delta.SeedError
		if errors.As(err, &seed) {
			d.damage = heldFault(files, seed)
			continue
		}
		if err != nil {
			return err
		}
		here = append(here, have{Extent: extent, source: files.Held[*segment.Executable], checksum: segment.Executable})
	}
	made.have = here
	return nil
}

func heldFault(files *delta.Files, seed *delta.SeedError) string {
	return fmt.Sprintf("%s: %v", files.Name(seed.Checksum), seed)
}

// readHere reads from a stretch that is here, up to an end, and compares an executable of this host once more when it has been read.
func (d *download) readHere(in *have, end int64, p []byte) (int, error) {
	if in.checksum != nil && d.offset == in.Offset {
		in.hash = multiversion.NewHash()
	}
	n, err := in.source.ReadAt(p[:min(int64(len(p)), end-d.offset)], d.offset-in.Offset)
	if n == 0 && err != nil {
		return 0, &errRestart{"what this host has of the file cannot be read: " + err.Error()}
	}
	d.offset += int64(n)
	d.partial.append(p[:n])
	if in.checksum == nil {
		return n, nil
	}
	d.here += int64(n)
	if in.hash == nil {
		return n, nil // begun in its middle, where an earlier run ended
	}
	in.hash.Write(p[:n])
	if d.offset == in.End() && in.hash.Checksum() != *in.checksum {
		return 0, &errRestart{heldFault(d.held, &delta.SeedError{Checksum: *in.checksum, Err: delta.ErrDamaged})}
	}
	return n, nil
}

// readRest reads what this host lacks out of a delta. When that ends too early, what is left is asked for in parts.
func (d *download) readRest(p []byte) int {
	n, err := d.plan.restAt(p, d.offset)
	if n == 0 && err != nil {
		d.deltaNote = "it broke off: " + err.Error()
		d.plan.leaveRest()
		return 0
	}
	d.partial.append(p[:n])
	d.offset += int64(n)
	return n
}

// needsDigest takes nothing of what this host has where there is no digest or signature to compare the whole with: what is here
// may have been written by others, and the checksums in the file find damage, not forgery.
func (s *session) needsDigest(claims []Claim) {
	if !slices.ContainsFunc(claims, func(c Claim) bool { return c.open() && !c.Weak }) {
		s.whole = "there is no digest or signature to compare the whole with"
	}
}

// leaveHeld says why a Fetch that begins again takes no delta, if it did, or nothing of what this host has: it did, or it begins
// again twice.
func (s *session) leaveHeld(f *Fetched, why error) {
	if f.BytesDelta > 0 && s.noDelta == "" {
		s.noDelta = why.Error() // what came in parts is of the server's own file
		return
	}
	if s.options.Held != nil && (f.BytesHeld > 0 || f.Restarts > 0) {
		s.whole = why.Error()
	}
}
