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
	"github.com/tbctl/tbctl/internal/sha"
)

// DepotRequest asks a host to let others read an artifact of its store.
type DepotRequest struct {
	Target   string `json:"target"`   // for whose rollout it is; "": the only one
	Artifact string `json:"artifact"` // its SHA-256 in hexadecimal digits
}

// DepotAnswer says where an artifact of a host's store can be read.
type DepotAnswer struct {
	Address     string `json:"address"`     // at which it listens, on the host
	Token       string `json:"token"`       // that a request must have
	Certificate string `json:"certificate"` // its SHA-256 in hexadecimal digits
}

// OpenDepot lets others read an artifact of a host's store until the session ends, or asks for another one, and says where. Asked again it says
// the same.
func (s *Session) OpenDepot(ctx context.Context, request DepotRequest) (DepotAnswer, error) {
	var answer DepotAnswer
	err := s.ask(ctx, http.MethodPost, pathDepot, request, &answer)
	return answer, err
}

// giving is an artifact of the store that is read by others.
type giving struct {
	artifact string
	answer   DepotAnswer
	end      context.CancelFunc
	ended    chan struct{} // closed when it has
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
		opened, err = h.give(target, request.Artifact)
	}
	if err != nil {
		answerError(w, err)
		return
	}
	answer(w, http.StatusOK, opened)
}

// mayGive refuses to let others read the store for a target that a run holds which is alive elsewhere: its host is not at work for two.
func (h *Host) mayGive(target string) error {
	place, err := fsatomic.Lookup(h.Installer.FS, target)
	if err != nil {
		return err
	}
	stored, alive, err := h.Installer.FenceOf(place)
	if err != nil || stored == nil || !stored.Phase.Holds() || !alive {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if own, has := h.claims[target]; has && own.fence.SameRun(*stored) {
		return nil
	}
	return &fleet.FencedError{Reason: fleet.ReasonHeld, Stored: stored}
}

// give lets others read an artifact of the store.
func (h *Host) give(target, artifact string) (DepotAnswer, error) {
	if h.Depot == "" {
		return DepotAnswer{}, fault.New(fault.Refused, `this host's configuration names no address for others to copy from: depot = "ADDR:PORT"`)
	}
	if err := sha.Check(artifact); err != nil {
		return DepotAnswer{}, err
	}
	if err := h.mayGive(target); err != nil {
		return DepotAnswer{}, fmt.Errorf("depot: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.giving != nil {
		select {
		case <-h.giving.ended:
		default:
			if h.giving.artifact == artifact {
				return h.giving.answer, nil
			}
			h.giving.close() // a session brings one artifact at a time
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
	h.giving = &giving{artifact: artifact, answer: DepotAnswer{listener.Addr().String(), hex.EncodeToString(secret[:]), fingerprint}, end: end, ended: make(chan struct{})}
	go func(g *giving) {
		defer close(g.ended)
		server := &serve.Server{Depot: h.Store, Token: g.answer.Token, Artifact: artifact, Kept: serve.Kept(h.Store)}
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
