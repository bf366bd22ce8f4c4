package serve_test

import (
	"net"
	"testing"

	"github.com/tbctl/tbctl/depot/serve"
)

// TestListen: an address of IPv4 is listened at by that alone, also the one that stands for all of a host.
func TestListen(t *testing.T) {
	t.Parallel()
	listener, err := serve.Listen(t.Context(), "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	at := listener.Addr().(*net.TCPAddr)
	if at.IP.To4() == nil || !at.IP.IsUnspecified() {
		t.Errorf("it listens at %s", at)
	}
	if other, err := net.ListenTCP("tcp6", &net.TCPAddr{IP: net.IPv6loopback, Port: at.Port}); err == nil {
		other.Close()
	} else {
		t.Logf("whether IPv6 was left alone cannot be seen: %v", err)
	}
}
