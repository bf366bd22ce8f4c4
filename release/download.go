package release

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/durable"
)

// A download is an asset on the network as one stream of bytes: requests that fail are made again,
// and go on where the last one stopped. Reading it returns io.EOF only when all bytes have come.
type download struct {
	from     *webSource
	ctx      context.Context
	patience *patience
	partial  *partial
	unkept   error     // why there is no partial file
	sum      hash.Hash // SHA-256 of the bytes handed out

	body      io.ReadCloser // nil between attempts
	offset    int64         // bytes handed out
	ahead     int64         // bytes of the partial file that come before the body's
	total     int64         // -1 if unknown
	validator string
	noRange   bool // the server's ranges cannot be relied on

	probed   bool      // it is known whether this host has parts of the file
	probes   int       // how often it was begun to find that out
	plan     *assembly // nil: all of it comes over the network
	until    int64     // where the part ends that the body is of; -1: with the file
	here     int64     // bytes that this host had
	heldNote string    // why they are fewer than could be
	damage   string    // which of them were of no use

	held      *delta.Files // open; nil: there are none, or they are not open
	opened    bool         // they were
	deltaCame int64        // bytes that came of deltas
	deltaNote string       // why one that was offered was not used

	answer   *http.Response // the last successful one, for its headers and its way
	attempts int
	fetched  int64 // bytes that came over the network
	resumed  int64 // bytes that came from an earlier run
	err      error
}

// errRestart says that the bytes handed out so far are not those of the file that the server has now.
type errRestart struct{ why string }

func (e *errRestart) Error() string { return e.why }

// Read reads the asset. Its errors are final.
func (d *download) Read(p []byte) (int, error) {
	for d.err == nil {
		if d.total >= 0 && d.offset == d.total {
			d.err = io.EOF
			break
		}
		if d.body == nil && !d.isHere() {
			if d.err = d.attempt(d.connect); d.err != nil {
				break
			}
			continue
		}
		n, err := d.read(p)
		if n > 0 {
			return n, nil
		}
		if err == nil {
			continue
		}
		d.disconnect()
		if err == io.EOF {
			d.err = err
			break
		}
		if d.err = d.failed(err); d.err != nil {
			break
		}
	}
	return 0, d.err
}

// isHere reports whether the next byte needs no request.
func (d *download) isHere() bool {
	in, _ := d.plan.at(d.offset, d.total)
	return in != nil || d.plan != nil && (d.offset < d.ahead || d.plan.rest != nil)
}

// read takes bytes from the partial file, from what this host has or from the network, and accounts for them.
func (d *download) read(p []byte) (int, error) {
	if d.offset < d.ahead {
		n, err := d.partial.readAt(p[:min(int64(len(p)), d.ahead-d.offset)], d.offset)
		if err != nil {
			return 0, &errRestart{err.Error()}
		}
		d.resumed += int64(n)
		d.offset += int64(n)
		return n, nil
	}
	in, next := d.plan.at(d.offset, d.total)
	if in != nil {
		return d.readHere(in, next, p)
	}
	if d.total >= 0 {
		p = p[:min(int64(len(p)), next-d.offset)]
	}
	if d.plan != nil && d.plan.rest != nil {
		return d.readRest(p), nil
	}
	n, err := d.body.Read(p)
	d.fetched += int64(n)
	if n > 0 {
		d.partial.append(p[:n])
		d.patience.received(n)
		if d.offset += int64(n); d.plan != nil && d.offset == next {
			d.disconnect() // what follows is here
		}
		return n, nil
	}
	if err == io.EOF {
		if d.total >= 0 { // and bytes are missing, or it would not have been read
			return 0, io.ErrUnexpectedEOF
		}
		d.total = d.offset
	}
	return 0, err
}

// Progress is how far it is.
func (d *download) Progress() Progress {
	return Progress{Done: d.offset, Total: d.total, Attempt: d.attempts}
}

// attempt calls f until it succeeds or there is no point in going on.
func (d *download) attempt(f func() error) error {
	for {
		err := f()
		if err == nil {
			return nil
		}
		if err = d.failed(err); err != nil {
			return err
		}
	}
}

// failed waits before another attempt, or returns the error that ends the download.
func (d *download) failed(err error) error {
	if _, restart := err.(*errRestart); restart {
		return err
	}
	pause, again := time.Duration(0), false
	if d.ctx.Err() != nil {
		err = context.Cause(d.ctx)
	} else {
		pause, again = d.patience.again(err)
	}
	if again {
		if slow := d.from.client.pace.add(pause, 0); slow != nil {
			again, err = false, slow
		}
	}
	if again {
		waiting := d.Progress()
		waiting.WaitUntil, waiting.Err = time.Now().Add(pause), err
		d.from.progress.report(waiting)
		if err = wait(d.ctx, pause); err == nil {
			return nil
		}
	}
	return &TransferError{URL: redacted(d.from.url), Received: max(d.offset, d.ahead), Total: d.total, Attempts: d.attempts, Err: err}
}

func (d *download) disconnect() {
	if d.body != nil {
		d.body.Close()
		d.body = nil
	}
}

// connect makes one request for what is missing and prepares the body of its answer for reading.
func (d *download) connect() error {
	if d.mayAssemble() {
		return d.probe()
	}
	have := d.offset
	if d.attempts == 0 && d.partial != nil && d.partial.have > 0 {
		// At least one byte is asked for, so that the answer carries the validator.
		have = d.partial.have - 1
		d.validator, d.total, d.ahead = d.partial.head.Validator, d.partial.head.Total, have
	}
	have = max(have, d.ahead)
	d.until = -1
	header := http.Header{}
	ranged := (have > 0 || d.plan != nil) && d.validator != "" && !d.noRange
	if ranged {
		span := fmt.Sprintf("bytes=%d-", have)
		if _, next := d.plan.at(have, d.total); next < d.total {
			d.until = next
			span += strconv.FormatInt(next-1, 10)
		}
		header.Set("Range", span)
		header.Set("If-Range", d.validator)
	}
	d.attempts++
	resp, err := d.from.client.get(d.ctx, d.from.url, header)
	if err != nil {
		return err
	}
	return d.take(resp, have, ranged)
}

// take takes an answer's body, if it is good for something.
func (d *download) take(resp *http.Response, have int64, ranged bool) error {
	if err := d.accept(resp, have, ranged); err != nil {
		resp.Body.Close()
		return err
	}
	d.answer, d.body = resp, resp.Body
	return nil
}

// accept decides what an answer is good for.
func (d *download) accept(resp *http.Response, have int64, ranged bool) error {
	encoding := resp.Header.Get("Content-Encoding")
	switch {
	case resp.StatusCode < 300 && encoding != "" && encoding != "identity":
		return protocolError("it is encoded as %.20q, which was not asked for", encoding)
	case resp.StatusCode == http.StatusPartialContent && ranged:
		return d.acceptPart(resp, have)
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && ranged:
		return d.acceptNothing(resp, have)
	case resp.StatusCode == http.StatusPreconditionFailed && ranged: // which is no answer to If-Range
		d.noRange = true
		return fmt.Errorf("the server says that its file is another one")
	case resp.StatusCode == http.StatusOK:
		return d.acceptWhole(resp)
	case resp.StatusCode < 300:
		return protocolError("status %d", resp.StatusCode)
	}
	detail := ""
	if d.from.notFound != nil && resp.StatusCode == http.StatusNotFound {
		detail = d.from.notFound(d.ctx)
	}
	return answerError(resp, detail)
}

// acceptPart checks that a 206 is exactly what was asked for.
func (d *download) acceptPart(resp *http.Response, have int64) error {
	first, last, total, ok := contentRange(resp.Header)
	if !validatorHeld(resp.Header, d.validator) || ok && d.total >= 0 && total >= 0 && total != d.total {
		d.noRange = true // it ignored the condition; what it has in full will be compared
		return fmt.Errorf("the server sent a part of another file")
	}
	end := d.until
	if end < 0 {
		end = max(total, d.total)
	}
	if !ok || first != have || end >= 0 && last != end-1 {
		d.noRange = true
		return fmt.Errorf("the server sent a range that was not asked for")
	}
	if resp.ContentLength >= 0 && resp.ContentLength != last-first+1 {
		d.noRange = true
		return fmt.Errorf("the server sent a range of another length than it stated")
	}
	if d.total < 0 {
		d.total = last + 1
	}
	if d.ahead > d.offset && d.partial.have > have {
		d.partial.cut(have)
	}
	return nil
}

// acceptNothing handles a 416: everything has come already and only its end got lost, or the file
// became shorter.
func (d *download) acceptNothing(resp *http.Response, have int64) error {
	length, ok := strings.CutPrefix(resp.Header.Get("Content-Range"), "bytes */")
	if total, isNumber := digits(length); ok && isNumber && total == have && d.total < 0 && d.offset == have {
		d.total = total
		return nil
	}
	d.forget()
	if d.offset > 0 {
		return &errRestart{"the server's file is shorter than what came before"}
	}
	return fmt.Errorf("the server's file is shorter than what an earlier run received")
}

// acceptWhole takes the file from its beginning: for the first time, or again, in which case what was
// handed out already is compared and passed over.
func (d *download) acceptWhole(resp *http.Response) error {
	if resp.ContentLength > AssetSizeMax {
		return fmt.Errorf("%w: %d bytes, at most %d are downloaded", ErrTooLarge, resp.ContentLength, int64(AssetSizeMax))
	}
	validator := validatorOf(resp.Header)
	if d.plan != nil {
		d.leavePlan()
		d.here, d.heldNote = 0, "the server sent all of the file instead of a part"
	}
	if d.offset == 0 {
		d.forget()
		d.total, d.validator = resp.ContentLength, validator
		d.partial.begin(validator, d.total, time.Now())
		return nil
	}
	if d.total >= 0 && resp.ContentLength >= 0 && d.total != resp.ContentLength {
		return &errRestart{fmt.Sprintf("the server's file had %d bytes and now has %d", d.total, resp.ContentLength)}
	}
	again := sha256.New()
	n, err := io.CopyN(again, resp.Body, d.offset)
	d.fetched += n
	if err != nil {
		return err
	}
	if string(again.Sum(nil)) != string(d.sum.Sum(nil)) {
		return &errRestart{"the server's file is another one than before"}
	}
	if d.total < 0 {
		d.total = resp.ContentLength
	}
	if validator != d.validator {
		d.validator = validator
		d.partial.begin("", -1, time.Now()) // its head names the old one
	}
	return nil
}

// forget drops what an earlier run left.
func (d *download) forget() {
	d.ahead, d.total, d.validator = 0, -1, ""
	d.partial.begin("", -1, time.Now())
}

// Close ends the download. What came stays in the partial file when keep is set and a later one can use it.
func (d *download) Close(keep bool) Delivery {
	d.disconnect()
	d.leavePlan()
	took := Delivery{
		Validator: d.validator, BytesFetched: d.fetched, BytesResumed: d.resumed, BytesHeld: d.here, BytesDelta: d.deltaCame, DeltaNote: d.deltaNote, Attempts: d.attempts, HeldNote: d.heldNote, HeldDamage: d.damage,
	}
	if d.answer != nil {
		took.FinalURL, took.ContentType, took.Latest = redacted(d.answer.Request.URL), d.answer.Header.Get("Content-Type"), tagOnTheWay(d.answer)
	}
	note := d.unkept
	if d.partial != nil && d.partial.err != nil {
		note = d.partial.err
	}
	if keep {
		took.Kept = d.partial.close()
	} else {
		d.partial.remove()
	}
	switch _, busy := errors.AsType[*durable.BusyError](note); {
	case busy, errors.Is(note, errForeign):
		took.CacheNote = note.Error()
	case note != nil:
		took.CacheNote = errForeign.Error() + ": " + note.Error()
	case keep && d.partial != nil && d.validator == "":
		took.CacheNote = "the server names no ETag, nor an old date, by which it could be continued"
	}
	return took
}

// tagOnTheWay finds the tag in the URLs that led to an answer: GitHub redirects from latest to a tag.
func tagOnTheWay(resp *http.Response) Tag {
	for req := resp.Request; req != nil; req = req.Response.Request {
		_, rest, found := strings.Cut(req.URL.Path, "/releases/download/")
		if text, _, _ := strings.Cut(rest, "/"); found {
			if tag, err := ParseTag(text); err == nil && tag != Latest {
				return tag
			}
		}
		if req.Response == nil {
			break
		}
	}
	return ""
}
