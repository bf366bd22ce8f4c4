package serve

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// silent takes what net/http says of connections: a stranger's mistakes are counted, not told.
var silent = log.New(io.Discard, "", 0)

// answer is a response that ends when its reader is too slow: nothing is taken for so long, or all in all too little.
type answer struct {
	http.ResponseWriter

	control *http.ResponseController
	started time.Time
	idle    time.Duration
	head    bool
	status  int
	written int64
	failed  bool
}

// WriteHeader takes back the digest of the content where that is another than the whole artifact.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	a.status = status
	if status != http.StatusOK {
		a.Header().Del("Content-Digest")
	}
	a.patience()
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(data []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if a.head {
		return len(data), nil
	}
	a.patience()
	count, err := a.ResponseWriter.Write(data)
	a.written += int64(count)
	a.failed = a.failed || err != nil
	return count, err
}

// patience sets how long the next piece may take.
func (a *answer) patience() {
	next := time.Now().Add(a.idle)
	if last := a.started.Add(time.Minute + time.Duration(a.written/slowest)*time.Second); last.Before(next) {
		next = last
	}
	_ = a.control.SetWriteDeadline(next) // a recorder of a test has none
}

// rangesBearable reports whether a request's ranges are few, and no byte is in two of them. What is no list of
// ranges is for net/http to judge.
func rangesBearable(header string, size int64) bool {
	list, ok := strings.CutPrefix(header, "bytes=")
	if !ok {
		return true
	}
	if strings.Count(list, ",") >= RangesMax {
		return false
	}
	var taken [][2]int64
	for spec := range strings.SplitSeq(list, ",") {
		from, to, ok := strings.Cut(strings.TrimSpace(spec), "-")
		if !ok {
			return true
		}
		first, firstErr := strconv.ParseInt(from, 10, 64)
		last, lastErr := strconv.ParseInt(to, 10, 64)
		switch {
		case from == "" && lastErr == nil: // the last bytes
			first, last = max(0, size-last), size-1
		case firstErr != nil:
			return true
		case to == "" || lastErr == nil && last >= size:
			last = size - 1
		case lastErr != nil:
			return true
		}
		for _, other := range taken {
			if first <= other[1] && other[0] <= last {
				return false
			}
		}
		taken = append(taken, [2]int64{first, last})
	}
	return true
}

// limited is a listener with so many connections at once, and so many of one address. More wait in the system's own queue; more
// of one address are closed, so that it leaves places for others.
type limited struct {
	net.Listener

	places chan struct{}
	closed chan struct{}
	once   sync.Once

	addressMax int
	mu         sync.Mutex
	taken      map[netip.Prefix]int // by address
}

func limit(listener net.Listener, most, addressMax int) *limited {
	return &limited{Listener: listener, places: make(chan struct{}, most), closed: make(chan struct{}), addressMax: addressMax, taken: make(map[netip.Prefix]int)}
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		select {
		case l.places <- struct{}{}:
		case <-l.closed:
			return nil, net.ErrClosed
		}
		conn, err := l.Listener.Accept()
		if err != nil {
			<-l.places
			return nil, err
		}
		from := network(conn.RemoteAddr())
		if l.take(from) {
			return &counted{Conn: conn, of: l, leave: sync.OnceFunc(func() { l.give(from); <-l.places })}, nil
		}
		conn.Close()
		<-l.places
	}
}

// network is the address that a connection comes from, of IPv6 the network: who has one address of it has all.
func network(address net.Addr) netip.Prefix {
	parsed, err := netip.ParseAddrPort(address.String())
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	if ip := parsed.Addr().Unmap(); ip.Is6() {
		bits = 64
	}
	prefix, _ := parsed.Addr().Unmap().Prefix(bits)
	return prefix
}

func (l *limited) take(from netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken[from] >= l.addressMax {
		return false
	}
	l.taken[from]++
	return true
}

func (l *limited) give(from netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken[from]--; l.taken[from] == 0 {
		delete(l.taken, from)
	}
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// counted is a connection that has a place.
type counted struct {
	net.Conn

	of    *limited
	leave func()
}

// SetReadDeadline is how the server bounds the time for a header, and between two requests. While places are short it is shorter.
func (c *counted) SetReadDeadline(deadline time.Time) error {
	if soon := time.Now().Add(shortTimeout); !deadline.IsZero() && soon.Before(deadline) && 2*len(c.of.places) > cap(c.of.places) {
		deadline = soon
	}
	return c.Conn.SetReadDeadline(deadline)
}

func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
