package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
)

// serve answers one ping as told, and returns where.
func serve(t *testing.T, answer func(connection net.Conn, ping *message)) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		var ping message
		if _, err := io.ReadFull(connection, ping[:]); err == nil {
			answer(connection, &ping)
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	return netip.MustParseAddrPort(listener.Addr().String())
}

// pongTo answers a ping as a replica does, but for what change does.
func pongTo(t *testing.T, change func(pong *message)) func(net.Conn, *message) {
	return func(connection net.Conn, ping *message) {
		pong := vector(t, "pong_client")
		copy(pong[messagePonged:][:8], ping[messageTimestamp:])
		change(pong)
		_, _ = connection.Write(sealed(pong)[:])
	}
}

func TestAsk(t *testing.T) {
	t.Parallel()
	cluster := datafile.NewID(7)
	want := Pong{Replica: 2, View: 3, Release: release0178}
	got, err := Ask(t.Context(), serve(t, pongTo(t, func(pong *message) { pong[messageReplica] = 2 })), cluster, release0178)
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := netip.MustParseAddrPort(listener.Addr().String())
	listener.Close()
	evict := func(name string) func(net.Conn, *message) {
		return func(connection net.Conn, _ *message) { _, _ = connection.Write(vector(t, name)[:]) }
	}
	for _, test := range []struct {
		name   string
		server netip.AddrPort
		want   error
	}{
		{"nobody listens", refused, syscall.ECONNREFUSED},
		{"closed", serve(t, func(net.Conn, *message) {}), ErrClosed},
		{"cut short", serve(t, func(connection net.Conn, _ *message) { _, _ = connection.Write(make([]byte, 100)) }), io.ErrUnexpectedEOF},
		{"silent", serve(t, func(connection net.Conn, _ *message) { _, _ = connection.Read(make([]byte, 1)) }), ErrSilent},
		{"another cluster", serve(t, pongTo(t, func(pong *message) { pong[messageCluster] = 8 })), ErrStranger},
		{"another ping", serve(t, pongTo(t, func(pong *message) { binary.LittleEndian.PutUint64(pong[messagePonged:], 2) })), ErrStranger},
		{"turned away", serve(t, evict("eviction-release-too-high")), &EvictionError{EvictionReleaseTooHigh, 0, release0178}},
		{"turned away for its age", serve(t, evict("eviction-release-too-low")), &EvictionError{EvictionReleaseTooLow, 0, release0178}},
		{"no message", serve(t, func(connection net.Conn, _ *message) { _, _ = connection.Write(make([]byte, messageSize)) }), &MessageError{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pong, err := Ask(t.Context(), test.server, cluster, release0178)
			ok := errors.Is(err, test.want)
			switch want := test.want.(type) {
			case *EvictionError:
				failure, is := errors.AsType[*EvictionError](err)
				ok = is && *failure == *want
			case *MessageError:
				_, ok = errors.AsType[*MessageError](err)
			}
			if !ok || pong != (Pong{}) {
				t.Errorf("%+v, %v, want %v", pong, err, test.want)
			}
		})
	}
}

// Whoever asks can stop.
func TestAskCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	address := serve(t, func(connection net.Conn, _ *message) {
		cancel()
		_, _ = connection.Read(make([]byte, 1))
	})
	if _, err := Ask(ctx, address, datafile.NewID(7), release0178); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
}

// Before 0.17 the timestamp's place must be zero.
func TestAskTimestamp(t *testing.T) {
	t.Parallel()
	for release, want := range map[multiversion.Release]bool{release0178: true, multiversion.NewRelease(0, 17, 0): true, multiversion.NewRelease(0, 16, 78): false} {
		var timestamp uint64
		address := serve(t, func(connection net.Conn, ping *message) {
			timestamp = binary.LittleEndian.Uint64(ping[messageTimestamp:])
			pongTo(t, func(*message) {})(connection, ping)
		})
		if _, err := Ask(t.Context(), address, datafile.NewID(7), release); err != nil || timestamp != 0 != want {
			t.Errorf("%s: timestamp %d, %v", release, timestamp, err)
		}
	}
}
