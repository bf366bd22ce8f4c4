//go:build linux

package standin_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"os"
	"testing"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/standin/zone"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

// vector reads a message as it went over the wire of a real replica: number 0 of cluster 7, in view 3.
func vector(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../replica/testdata/messages/" + name + ".hex")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// changed is a message with other bytes at an offset, and the checksum made right.
func changed(raw []byte, offset int, data ...byte) []byte {
	raw = bytes.Clone(raw)
	copy(raw[offset:], data)
	sum := multiversion.ChecksumOf(raw[16:])
	copy(raw, sum[:])
	return raw
}

// It answers pings with the bytes that a real replica answered with.
func TestPing(t *testing.T) {
	t.Parallel()
	binaryPath, dataFile := standin.Install(t, standin.Binary(t, "0.17.8", "0.17.7"))
	superblock := datafile.Superblock{Version: 2, Sequence: 1, Cluster: datafile.NewID(7), ReplicaID: datafile.NewID(1), ReplicaCount: 1, View: 3,
		ReleaseFormat: testbin.Release("0.17.8"), Release: testbin.Release("0.17.8")}
	raw, err := zone.Encode(&superblock)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dataFile, raw[:], 0o600); err != nil {
		t.Fatal(err)
	}
	address := standin.Addresses(1)
	standin.Start(t, binaryPath, dataFile, standin.Options{Args: []string{"--addresses=" + address}})

	ping := vector(t, "ping_client")
	release := func(text string) []byte {
		return binary.LittleEndian.AppendUint32(nil, uint32(testbin.Release(text)))
	}
	for _, test := range []struct {
		name string
		sent []byte
		want []byte // nil: the connection is closed
	}{
		{"ping", ping, vector(t, "pong_client")},
		{"a newer client", changed(ping, 108, release("0.17.9")...), vector(t, "eviction-release-too-high")},
		{"an old client", changed(ping, 108, release("0.1.0")...), vector(t, "eviction-release-too-low")},
		{"another cluster", changed(ping, 80, 8), nil},
		{"another command", changed(ping, 114, 5), nil},
		{"no client", changed(ping, 128, make([]byte, 16)...), nil},
		{"no release", changed(ping, 108, 0, 0, 0, 0), nil},
		{"reserved", changed(ping, 200, 1), nil},
		{"a wrong checksum", append([]byte{ping[0] ^ 1}, ping[1:]...), nil},
	} {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connection.Write(test.sent); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(ping))
		count, err := io.ReadFull(connection, got)
		if test.want == nil && (err == nil || count != 0) || test.want != nil && !bytes.Equal(got, test.want) {
			t.Errorf("%s: %d bytes, %v\n%x, want\n%x", test.name, count, err, got, test.want)
		}
		connection.Close()
	}
}
