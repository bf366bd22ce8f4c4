package replica

import (
	"encoding/binary"
	"fmt"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
)

// A message between a client and a replica is a header of 256 bytes, little-endian. The ones
// here have no body. The layout is that of Header, PingClient, PongClient and Eviction in
// TigerBeetle's src/vsr/message_header.zig; the bytes in testdata/messages went over the wire
// of a replica of release 0.17.8.
//
//	0    checksum of bytes 16 to 255
//	32   checksum of the body, here the empty one
//	80   cluster
//	96   size: 256
//	100  epoch: 0
//	104  view; 0 in a ping
//	108  release
//	112  protocol: 0
//	114  command
//	115  index of the replica; 0 in a ping
//	128  ping, eviction: the client's number, never 0
//	128  pong: the ping's timestamp
//	144  ping: a timestamp, any number
//	255  eviction: the reason
//
// All else is zero in a ping. In an answer it is not looked at: a later release may use it.
const (
	messageSize = 256

	messageChecksum     = 0
	messageCovered      = 16 // by the checksum, from here to the end
	messageChecksumBody = 32
	messageCluster      = 80
	messageBytes        = 96 // the size of header and body
	messageEpoch        = 100
	messageView         = 104
	messageRelease      = 108
	messageProtocol     = 112
	messageCommand      = 114
	messageReplica      = 115
	messageClient       = 128
	messagePonged       = 128
	messageTimestamp    = 144
	messageReason       = 255
)

// command says what a message is.
type command uint8

const (
	commandPingClient command = 3
	commandPongClient command = 4
	commandEviction   command = 18
)

// message is the bytes of one.
type message [messageSize]byte

// MessageError says what is wrong with the bytes that a replica answered with.
type MessageError struct {
	Offset int // of the field
	Detail string
}

// Error says where and what.
func (e *MessageError) Error() string {
	return fmt.Sprintf("not an answer to a ping: byte %d: %s", e.Offset, e.Detail)
}

// encodePing returns a ping. Client must not be 0.
func encodePing(cluster datafile.ID, release multiversion.Release, client, timestamp uint64) *message {
	m := new(message)
	empty := multiversion.ChecksumOf(nil)
	copy(m[messageChecksumBody:], empty[:])
	copy(m[messageCluster:], cluster[:])
	binary.LittleEndian.PutUint32(m[messageBytes:], messageSize)
	binary.LittleEndian.PutUint32(m[messageRelease:], uint32(release))
	m[messageCommand] = byte(commandPingClient)
	binary.LittleEndian.PutUint64(m[messageClient:], client)
	binary.LittleEndian.PutUint64(m[messageTimestamp:], timestamp)
	sum := multiversion.ChecksumOf(m[messageCovered:])
	copy(m[messageChecksum:], sum[:])
	return m
}

// answer is what a pong or an eviction says.
type answer struct {
	command   command
	cluster   datafile.ID
	replica   uint8
	view      uint32
	release   multiversion.Release
	timestamp uint64 // of a pong: the ping's
	reason    EvictionReason
}

// decodeAnswer reads a pong or an eviction. The error is a [*MessageError].
func decodeAnswer(m *message) (answer, error) {
	u32 := func(offset int) uint32 { return binary.LittleEndian.Uint32(m[offset:]) }
	wrong := func(offset int, format string, args ...any) (answer, error) {
		return answer{}, &MessageError{Offset: offset, Detail: fmt.Sprintf(format, args...)}
	}
	sum := multiversion.ChecksumOf(m[messageCovered:])
	if stored := multiversion.Checksum(m[messageChecksum:][:len(sum)]); stored != sum {
		return wrong(messageChecksum, "checksum %s, want %s", stored, sum)
	}
	empty := multiversion.ChecksumOf(nil)
	if stored := multiversion.Checksum(m[messageChecksumBody:][:len(empty)]); stored != empty {
		return wrong(messageChecksumBody, "checksum %s of the body, want that of no body", stored)
	}
	if size := u32(messageBytes); size != messageSize {
		return wrong(messageBytes, "size %d, want %d", size, messageSize)
	}
	if epoch := u32(messageEpoch); epoch != 0 {
		return wrong(messageEpoch, "epoch %d, want 0", epoch)
	}
	if protocol := binary.LittleEndian.Uint16(m[messageProtocol:]); protocol != 0 {
		return wrong(messageProtocol, "protocol %d, want 0: a newer tbctl may know it", protocol)
	}
	found := answer{
		command: command(m[messageCommand]), cluster: datafile.ID(m[messageCluster:][:16]), replica: m[messageReplica],
		view: u32(messageView), release: multiversion.Release(u32(messageRelease)),
	}
	if found.release == 0 {
		return wrong(messageRelease, "no release")
	}
	switch found.command {
	case commandPongClient:
		found.timestamp = binary.LittleEndian.Uint64(m[messagePonged:])
	case commandEviction:
		found.reason = EvictionReason(m[messageReason])
	default:
		return wrong(messageCommand, "command %d, want %d (pong) or %d (eviction)", found.command, commandPongClient, commandEviction)
	}
	return found, nil
}
