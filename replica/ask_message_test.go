package replica

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
)

// vector reads a message as it went over the wire of a replica of release 0.17.8.
func vector(t testing.TB, name string) *message {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "messages", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(raw) != messageSize {
		t.Fatalf("%s: %d bytes, %v", name, len(raw), err)
	}
	return (*message)(raw)
}

var release0178 = multiversion.NewRelease(0, 17, 8)

func TestEncodePing(t *testing.T) {
	t.Parallel()
	got := encodePing(datafile.NewID(7), release0178, 0x1122334455667788, 42)
	if want := vector(t, "ping_client"); *got != *want {
		t.Errorf("ping\n%x, want\n%x", *got, *want)
	}
}

func TestDecodeAnswer(t *testing.T) {
	t.Parallel()
	said := answer{cluster: datafile.NewID(7), view: 3, release: release0178}
	pong, low, high := said, said, said
	pong.command, pong.timestamp = commandPongClient, 42
	low.command, low.reason = commandEviction, EvictionReleaseTooLow
	high.command, high.reason = commandEviction, EvictionReleaseTooHigh
	for name, want := range map[string]answer{"pong_client": pong, "eviction-release-too-low": low, "eviction-release-too-high": high} {
		if got, err := decodeAnswer(vector(t, name)); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
}

// sealed makes the checksum right again.
func sealed(m *message) *message {
	sum := multiversion.ChecksumOf(m[messageCovered:])
	copy(m[messageChecksum:], sum[:])
	return m
}

func TestDecodeAnswerRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		offset int
		change func(m *message)
	}{
		{"body", messageChecksumBody, func(m *message) { m[messageChecksumBody+3] ^= 1 }},
		{"size", messageBytes, func(m *message) { binary.LittleEndian.PutUint32(m[messageBytes:], messageSize+1) }},
		{"epoch", messageEpoch, func(m *message) { m[messageEpoch] = 1 }},
		{"release", messageRelease, func(m *message) { binary.LittleEndian.PutUint32(m[messageRelease:], 0) }},
		{"protocol", messageProtocol, func(m *message) { m[messageProtocol+1] = 1 }},
		{"command", messageCommand, func(m *message) { m[messageCommand] = byte(commandPingClient) }},
	}
	for _, test := range tests {
		changed := *vector(t, "pong_client")
		test.change(&changed)
		for offset, m := range map[int]*message{messageChecksum: new(message), test.offset: new(message)} {
			*m = changed
			if offset != messageChecksum {
				sealed(m)
			}
			_, err := decodeAnswer(m)
			if failure, ok := errors.AsType[*MessageError](err); !ok || failure.Offset != offset {
				t.Errorf("%s: %v, want a failure at byte %d", test.name, err, offset)
			}
		}
	}
	// What a later release may say besides is not looked at.
	later := vector(t, "pong_client")
	later[200] = 1
	if _, err := decodeAnswer(sealed(later)); err != nil {
		t.Errorf("a byte that is not known: %v", err)
	}
	// Every single bit of it is covered.
	for bit := range 8 * messageSize {
		flipped := *vector(t, "pong_client")
		flipped[bit/8] ^= 1 << (bit % 8)
		if _, err := decodeAnswer(&flipped); err == nil {
			t.Fatalf("bit %d of byte %d flipped, and nothing said", bit%8, bit/8)
		}
	}
}

func FuzzDecodeAnswer(f *testing.F) {
	for _, name := range []string{"ping_client", "pong_client", "eviction-release-too-low", "eviction-release-too-high"} {
		f.Add(vector(f, name)[:], true)
	}
	f.Fuzz(func(t *testing.T, raw []byte, seal bool) {
		var m message
		copy(m[:], raw)
		if seal {
			sealed(&m)
		}
		found, err := decodeAnswer(&m)
		if err != nil {
			if _, ok := errors.AsType[*MessageError](err); !ok || found != (answer{}) {
				t.Errorf("%+v with the error %v", found, err)
			}
			return
		}
		if found.release == 0 || found.command != commandPongClient && found.command != commandEviction {
			t.Errorf("%+v was taken for an answer", found)
		}
	})
}
