package serve

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// dialed connects from an address of the loopback interface.
func dialed(t *testing.T, from, to string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Skipf("skipped: no connection from %s: %v", from, err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// One address has so many places and no more, and the others are there for other addresses.
func TestAddressMax(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(listener, 8, 2)
	defer l.Close()
	accepted := make(chan net.Conn)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	to := listener.Addr().String()
	dialed(t, "127.0.0.1", to)
	first := <-accepted
	dialed(t, "127.0.0.1", to)
	<-accepted
	if _, err := dialed(t, "127.0.0.1", to).Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a third of the same address: %v", err)
	}
	dialed(t, "127.0.0.2", to)
	<-accepted
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	dialed(t, "127.0.0.1", to)
	<-accepted
}

// Who has one address of a network of IPv6 has all of them.
func TestNetwork(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.7:1": "192.0.2.7/32", "[::ffff:192.0.2.7]:1": "192.0.2.7/32", "[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64",
	} {
		if got := network(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))); got.String() != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// deadlined notes the deadline of a connection.
type deadlined struct {
	net.Conn

	deadline time.Time
}

func (d *deadlined) SetReadDeadline(deadline time.Time) error {
	d.deadline = deadline
	return nil
}

// While places are short, a header has less time; what ends a deadline still ends it.
func TestShortPlaces(t *testing.T) {
	t.Parallel()
	l := limit(nil, 4, 4)
	conn := new(deadlined)
	c := &counted{Conn: conn, of: l}
	asked := time.Now().Add(time.Hour)
	for taken := 1; taken <= 4; taken++ {
		l.places <- struct{}{}
		if err := c.SetReadDeadline(asked); err != nil || conn.deadline.Equal(asked) != (taken <= 2) || conn.deadline.After(asked) {
			t.Errorf("%d of 4 places: %v, %v was asked for: %v", taken, conn.deadline, asked, err)
		}
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil || !conn.deadline.IsZero() {
		t.Errorf("%v, %v", conn.deadline, err)
	}
}
