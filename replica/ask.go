package replica

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
)

const (
	// askMax is how long a replica has to answer a ping; it takes milliseconds.
	askMax = time.Second

	// releaseAnswers is the first release whose replicas are asked, 0.16.0: an earlier one may
	// not know a ping of this form.
	releaseAnswers multiversion.Release = 16 << 8

	// releaseTimestamp is the first release that gets a timestamp in a ping, 0.17.0: earlier
	// ones have had it among the bytes that must be zero.
	releaseTimestamp multiversion.Release = 17 << 8
)

// Pong is a replica's answer to a ping: that it serves, whatever its part in the cluster.
type Pong struct {
	Replica int                  `json:"replica"` // its index in the cluster
	View    uint32               `json:"view"`    // the durable one
	Release multiversion.Release `json:"release"` // that runs
}

// EvictionReason says why a replica turns a client away.
type EvictionReason uint8

// The reasons that a ping can be answered with.
const (
	EvictionReleaseTooLow  EvictionReason = 2
	EvictionReleaseTooHigh EvictionReason = 3
)

// String says it in words.
func (r EvictionReason) String() string {
	switch r {
	case EvictionReleaseTooLow:
		return "the client's release is too low"
	case EvictionReleaseTooHigh:
		return "the client's release is too high"
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// EvictionError is the answer of a replica that turns the client away. Release is the
// one that it runs.
type EvictionError struct {
	Reason  EvictionReason
	Replica int
	Release multiversion.Release
}

// Error says who turned the client away and why.
func (e *EvictionError) Error() string {
	return fmt.Sprintf("replica %d at %s turned the client away: %s", e.Replica, e.Release, e.Reason)
}

// Why a ping has no answer that counts.
var (
	// ErrSilent says that nothing came within the second that a replica has to answer.
	ErrSilent = errors.New("no answer within a second")

	// ErrClosed says that the connection was closed without an answer, as a replica does with
	// a client of another cluster.
	ErrClosed = errors.New("the connection was closed without an answer")

	// ErrStranger says that the answer is another cluster's, or to another ping.
	ErrStranger = errors.New("the answer is not to this ping")
)

// Ask sends one ping to the replica at an address and returns its answer. It takes a second
// at most. Release is the client's: a replica turns away one that is newer than what it runs,
// and logs a warning, so it must be the release that runs.
//
// On a nil error the replica answers its clients. The error is the context's, the network's,
// ErrSilent, ErrClosed, ErrStranger, an [*EvictionError] or a [*MessageError].
func Ask(ctx context.Context, address netip.AddrPort, cluster datafile.ID, release multiversion.Release) (Pong, error) {
	pong, err := ask(ctx, address, cluster, release)
	if err != nil {
		return Pong{}, fmt.Errorf("ask %s: %w", address, err)
	}
	return pong, nil
}

func ask(parent context.Context, address netip.AddrPort, cluster datafile.ID, release multiversion.Release) (Pong, error) {
	ctx, cancel := context.WithTimeout(parent, askMax)
	defer cancel()
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	client, timestamp := binary.LittleEndian.Uint64(random[:])|1, binary.LittleEndian.Uint64(random[8:])|1
	if release < releaseTimestamp {
		timestamp = 0
	}
	raw, err := exchange(ctx, address, encodePing(cluster, release, client, timestamp))
	switch timeout, ok := errors.AsType[net.Error](err); {
	case parent.Err() != nil:
		return Pong{}, parent.Err()
	case ok && timeout.Timeout() || ctx.Err() != nil:
		return Pong{}, ErrSilent
	case err != nil:
		return Pong{}, err
	}
	found, err := decodeAnswer(raw)
	switch {
	case err != nil:
		return Pong{}, err
	case found.cluster != cluster:
		return Pong{}, fmt.Errorf("%w: it is of cluster %s, want %s", ErrStranger, found.cluster, cluster)
	case found.command == commandEviction:
		return Pong{}, &EvictionError{Reason: found.reason, Replica: int(found.replica), Release: found.release}
	case found.timestamp != timestamp:
		return Pong{}, fmt.Errorf("%w: it has timestamp %d, want %d", ErrStranger, found.timestamp, timestamp)
	}
	return Pong{Replica: int(found.replica), View: found.view, Release: found.release}, nil
}

// exchange sends a message on a connection of its own and reads the one that comes back.
func exchange(ctx context.Context, address netip.AddrPort, ping *message) (*message, error) {
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "tcp", address.String())
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	stop := context.AfterFunc(ctx, func() { _ = connection.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := connection.Write(ping[:]); err != nil {
		return nil, err
	}
	answer := new(message)
	count, err := io.ReadFull(connection, answer[:])
	if count == 0 && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
		return nil, ErrClosed
	}
	return answer, err
}
