package remote

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tbctl/tbctl/depot/serve"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
)

// DepotRequest asks a host to let others read its store.
type DepotRequest struct {
	Target string       `json:"target"`          // for whose rollout it is; "": the only one
	Fence  *fleet.Fence `json:"fence,omitempty"` // of the run that asks; nil: it has claimed nothing
}

// DepotAnswer says where a host's store can be read.
type DepotAnswer struct {
	Address     string `json:"address"`     // at which it listens, on the host
	Token       string `json:"token"`       // that a request must have
	Certificate string `json:"certificate"` // its SHA-256 in hexadecimal digits
}

// OpenDepot lets others read a host's store until the session ends, and says where. Asked again it says the same.
func (s *Session) OpenDepot(ctx context.Context, request DepotRequest) (DepotAnswer, error) {
	var answer DepotAnswer
	err := s.ask(ctx, http.MethodPost, pathDepot, request, &answer)
	return answer, err
}

// giving is a store that is read by others.
type giving struct {
	answer DepotAnswer
	end    context.CancelFunc
	ended  chan struct{} // closed when it has
}

func (g *giving) close() {
	if g != nil {
		g.end()
		<-g.ended
	}
}

func (h *Host) openDepot(w http.ResponseWriter, r *http.Request) {
	var request DepotRequest
	target, err := h.read(r, &request, func() string { return request.Target })
	var opened DepotAnswer
	if err == nil {
		opened, err = h.give(target, request.Fence)
	}
	if err != nil {
		answerError(w, err)
		return
	}
	answer(w, http.StatusOK, opened)
}

// give lets others read the store.
func (h *Host) give(target string, fence *fleet.Fence) (DepotAnswer, error) {
	if h.Depot == "" {
		return DepotAnswer{}, fault.New(fault.Refused, `this host's configuration names no address for others to copy from: depot = "ADDR:PORT"`)
	}
	if fence != nil {
		place, err := fsatomic.Lookup(h.Installer.FS, target)
		if err != nil {
			return DepotAnswer{}, err
		}
		stored, _, err := h.Installer.FenceOf(place)
		if err == nil {
			err = fleet.Match(stored, *fence)
		}
		if err != nil {
			return DepotAnswer{}, fmt.Errorf("depot: %w", err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.giving != nil {
		select {
		case <-h.giving.ended:
		default:
			return h.giving.answer, nil
		}
	}
	certificate, fingerprint, err := newCertificate()
	if err != nil {
		return DepotAnswer{}, fmt.Errorf("depot: make a certificate: %w", err)
	}
	listener, err := serve.Listen(context.Background(), h.Depot)
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fault.New(fault.Busy, h.Depot+" is taken: another session gives the store, or another program listens there")
	}
	if err != nil {
		return DepotAnswer{}, fmt.Errorf("depot: %w", err)
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	ctx, end := context.WithCancel(context.Background())
	h.giving = &giving{answer: DepotAnswer{listener.Addr().String(), hex.EncodeToString(secret[:]), fingerprint}, end: end, ended: make(chan struct{})}
	go func(g *giving) {
		defer close(g.ended)
		server := &serve.Server{Depot: h.Store, Token: g.answer.Token, Kept: serve.Kept(h.Store)}
		_ = server.Serve(ctx, tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13})) // the next request opens it again
	}(h.giving)
	return h.giving.answer, nil
}

// newCertificate makes a key, and a certificate that nobody vouches for: its SHA-256 is known to who connects.
func newCertificate() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)} // no clock is asked
	text, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	sum := sha256.Sum256(text)
	return tls.Certificate{Certificate: [][]byte{text}, PrivateKey: key}, hex.EncodeToString(sum[:]), nil
}

// CheckDepot refuses what is no ADDR:PORT of one place; it is of class usage.
func CheckDepot(text string) error {
	name, port, err := net.SplitHostPort(text)
	number, portErr := strconv.ParseUint(port, 10, 16)
	known := strings.Trim(name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_:%") == ""
	if err != nil || portErr != nil || number == 0 || name == "" || !known || len(text) > addressMax {
		return fault.New(fault.Usage, fmt.Sprintf("%.80q is not ADDR:PORT", text))
	}
	return nil
}
