//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// A line is a toxiproxy in front of a server.
type line struct {
	proxy   *toxiproxy.Proxy
	address string
}

// newLine leads to a server's address. What happens on it is a list of toxics, each a
// kind and its attributes in JSON; they are on the way back from the server.
func newLine(t *testing.T, upstream string, toxic ...string) *line {
	t.Helper()
	l := &line{address: loopback()}
	l.proxy = toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), t.Name(), l.address, upstream)
	if err := l.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.proxy.Stop)
	for i := 0; i < len(toxic); i += 2 {
		l.add(t, toxic[i], toxic[i+1])
	}
	return l
}

func (l *line) add(t *testing.T, kind, attributes string) {
	t.Helper()
	text := fmt.Sprintf(`{"type":%q,"name":%q,"stream":"downstream","toxicity":1,"attributes":%s}`, kind, kind, attributes)
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
}

// A fault happens once on a line, when so many bytes of the body of a response have
// passed: in the first connection that gets that far. It counts what passes.
type fault struct {
	kind faultKind
	at   int64 // bytes of the body
	raw  bool  // count the bytes of the connection instead, of which TLS shows no more

	happened atomic.Bool
	body     atomic.Int64 // bytes of bodies that reached the client, of all connections
}

type faultKind string

const (
	faultCut   faultKind = "cut"   // the connection ends
	faultStall faultKind = "stall" // nothing more comes, but the connection stays
	faultFlip  faultKind = "flip"  // one bit is another
	faultGap   faultKind = "gap"   // one byte is missing, and the line ends as it should
)

// faults are the faults by number, for the toxic's attributes.
var faults sync.Map
var lastFault atomic.Int64

// onceToxic lets a fault happen.
type onceToxic struct {
	Fault int64 `json:"fault"`
}

var registerOnce = sync.OnceFunc(func() { toxics.Register("once", new(onceToxic)) })

// newFaultyLine leads to a server through a fault.
func newFaultyLine(t *testing.T, upstream string, f *fault) *line {
	t.Helper()
	registerOnce()
	number := lastFault.Add(1)
	faults.Store(number, f)
	t.Cleanup(func() { faults.Delete(number) })
	return newLine(t, upstream, "once", fmt.Sprintf(`{"fault":%d}`, number))
}

// Pipe passes what comes on, as toxiproxy wants it.
func (o *onceToxic) Pipe(stub *toxics.ToxicStub) {
	found, ok := faults.Load(o.Fault)
	if !ok {
		new(toxics.NoopToxic).Pipe(stub)
		return
	}
	f := found.(*fault)
	inBody, passed := f.raw, int64(0)
	for {
		select {
		case <-stub.Interrupt:
			return
		case chunk := <-stub.Input:
			if chunk == nil {
				stub.Close()
				return
			}
			data := chunk.Data
			if !inBody { // the head of a response comes in one piece
				if end := bytes.Index(data, []byte("\r\n\r\n")); end >= 0 {
					inBody, passed = true, -int64(end+4)
				}
			}
			from := passed
			passed += int64(len(data))
			if inBody && from <= f.at && f.at < passed && f.happened.CompareAndSwap(false, true) {
				if data = f.spoil(data, f.at-from); data == nil {
					f.pass(stub, chunk, chunk.Data[:f.at-from], from)
					if f.kind == faultStall {
						waitForEnd(stub)
					}
					stub.Close()
					return
				}
			}
			f.pass(stub, chunk, data, from)
		}
	}
}

// spoil returns what is passed on, or nil when that ends at the place.
func (f *fault) spoil(data []byte, place int64) []byte {
	switch f.kind {
	case faultFlip:
		data = bytes.Clone(data)
		data[place] ^= 0x10
		return data
	case faultGap:
		return append(bytes.Clone(data[:place]), data[place+1:]...)
	}
	return nil
}

func (f *fault) pass(stub *toxics.ToxicStub, chunk *stream.StreamChunk, data []byte, from int64) {
	if len(data) == 0 {
		return
	}
	stub.Output <- &stream.StreamChunk{Data: data, Timestamp: chunk.Timestamp}
	f.body.Add(max(0, int64(len(data))-max(0, -from)))
}

// waitForEnd keeps the connection open until one end closes it. What comes is lost.
func waitForEnd(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case chunk := <-stub.Input:
			if chunk == nil {
				return
			}
		}
	}
}
