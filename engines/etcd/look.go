package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tbctl/tbctl/engines/internal/authority"
)

// lookMax is how long it is tried to find out why etcd does not answer.
const lookMax = 2 * time.Second

// look connects with each member once, and says what becomes of that: etcd's client does not tell why none has answered.
func (p *Place) look(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, lookMax)
	defer cancel()
	said := make([]string, len(p.Endpoints))
	var all sync.WaitGroup
	for index, endpoint := range p.Endpoints {
		all.Go(func() {
			_, address, _ := strings.Cut(endpoint, "://")
			said[index] = address + ": " + p.lookAt(ctx, address)
		})
	}
	all.Wait()
	return strings.Join(said, "; ")
}

// lookAt says what a connection with a member comes to.
func (p *Place) lookAt(ctx context.Context, address string) string {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return cause(err)
	}
	defer connection.Close()
	deadline, _ := ctx.Deadline()
	if err := connection.SetDeadline(deadline); err != nil {
		return err.Error()
	}
	asked := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // whether it speaks TLS is all that is asked
	if p.TLS != nil {
		asked = p.TLS.Clone()
		asked.ServerName, _, _ = net.SplitHostPort(address)
	}
	err = tls.Client(connection, asked).HandshakeContext(ctx)
	switch {
	case p.TLS == nil && err == nil:
		return "it speaks TLS: ?tls=on, or ?ca-file=FILE"
	case p.TLS != nil && err != nil:
		if hindered := authority.Hindered(err); hindered != nil {
			return hindered.Error()
		}
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			return "it breaks off where TLS begins: does it speak TLS?"
		}
		return cause(err)
	}
	return "it takes connections, and says nothing: have the members a majority?"
}

// cause is what hindered a connection, without the addresses that the caller names.
func cause(err error) string {
	var system *os.SyscallError
	switch {
	case errors.As(err, &system):
		return system.Err.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("nothing came for %v", lookMax)
	}
	return err.Error()
}
