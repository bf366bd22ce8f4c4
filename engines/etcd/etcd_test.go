package etcd_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/engines/etcd"
	"github.com/tbctl/tbctl/engines/internal/testetcd"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/state"
	"github.com/tbctl/tbctl/state/statetest"
)

func open(t *testing.T, where string) (state.Store, error) {
	t.Helper()
	place, err := etcd.ParsePlace(where)
	if err != nil {
		t.Fatal(err)
	}
	store, err := etcd.Open(t.Context(), place)
	if err != nil {
		return nil, err
	}
	return store, nil
}

// TestStore holds that etcd keeps the rules of every state.
func TestStore(t *testing.T) {
	t.Parallel()
	address := testetcd.Start(t, "http://")
	var number atomic.Int64
	t.Run("rules", func(t *testing.T) {
		statetest.Run(t, func(t *testing.T) func() state.Store {
			where := fmt.Sprintf("%s%s/test/%d", etcd.Scheme, address, number.Add(1))
			return func() state.Store {
				store, err := open(t, where)
				if err != nil {
					t.Fatal(err)
				}
				return &once{Store: store}
			}
		})
	})
}

// once is closed once.
type once struct {
	state.Store
	closed bool
}

func (o *once) Close() error {
	if o.closed {
		return nil
	}
	o.closed = true
	return o.Store.Close()
}

// TestForeignKeys holds that what others write is not taken for ours.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	address := testetcd.Start(t, "http://")
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + address}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for key, value := range map[string]string{
		"p/values/A b": "x", "p/values/": "x", "p/valuesx": "x", "p/values/large": strings.Repeat("x", state.ValueSizeMax+1), "p/values/b": "good",
		"p/holds/a": "no JSON", "q/values/c": "another's",
	} {
		if _, err := client.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	store, err := open(t, etcd.Scheme+address+"/p")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if entries, err := store.List(t.Context(), "b"); err != nil || len(entries) != 1 || string(entries[0].Value) != "good" {
		t.Errorf("%+v, %v", entries, err)
	}
	if _, _, err := store.Get(t.Context(), "large"); !errors.Is(err, state.ErrValue) {
		t.Errorf("%v", err)
	}
	if _, err := store.Holders(t.Context(), ""); !errors.Is(err, state.ErrDamaged) {
		t.Errorf("%v", err)
	}
	var held *state.HeldError
	if _, err := store.Hold(t.Context(), "a", "ann@a"); !errors.As(err, &held) {
		t.Errorf("%v", err)
	}
}

// TestLeaseEnds holds that a hold whose lease etcd ends is lost.
func TestLeaseEnds(t *testing.T) {
	t.Parallel()
	address := testetcd.Start(t, "http://")
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + address}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	store, err := open(t, etcd.Scheme+address+"/p")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	hold, err := store.Hold(t.Context(), "a", "ann@a")
	if err != nil {
		t.Fatal(err)
	}
	leases, err := client.Leases(t.Context())
	if err != nil || len(leases.Leases) != 1 {
		t.Fatalf("%+v, %v", leases, err)
	}
	if _, err := client.Revoke(t.Context(), leases.Leases[0].ID); err != nil {
		t.Fatal(err)
	}
	<-hold.Lost()
	if err := hold.Err(); fault.Of(err) != fault.Fenced || !strings.Contains(err.Error(), "lease") {
		t.Errorf("%v", err)
	}
}

// TestTLS holds that certificates and passwords are asked for and given.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t, dir)
	ca.issue(t, "server")
	ca.issue(t, "client")
	file := func(name string) string { return filepath.Join(dir, name) }
	address := testetcd.Start(t, "https://", "--client-cert-auth", "--trusted-ca-file", file("ca.pem"), "--cert-file", file("server.pem"), "--key-file", file("server.key"))

	pair, err := tls.LoadX509KeyPair(file("client.pem"), file("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"https://" + address}, TLS: &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{pair}}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, userErr := client.UserAdd(t.Context(), "root", "the root's")
	_, grantErr := client.UserGrantRole(t.Context(), "root", "root")
	_, authErr := client.AuthEnable(t.Context())
	if err := errors.Join(userErr, grantErr, authErr); err != nil {
		t.Fatal(err)
	}
	write(t, file("password"), "the root's\n")
	write(t, file("wrong"), "another\n")

	certificates := "ca-file=" + file("ca.pem") + "&cert-file=" + file("client.pem") + "&key-file=" + file("client.key")
	for name, test := range map[string]struct {
		user, query string
		refused     bool
	}{
		"all":               {"root@", certificates + "&password-file=" + file("password"), false},
		"another password":  {"root@", certificates + "&password-file=" + file("wrong"), true},
		"no password":       {"", certificates, true},
		"no certificate":    {"root@", "ca-file=" + file("ca.pem") + "&password-file=" + file("password"), true},
		"an unknown server": {"root@", "tls=on&password-file=" + file("password"), true},
		"no TLS":            {"root@", "password-file=" + file("password"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, err := open(t, etcd.Scheme+test.user+address+"/p?"+test.query)
			if err == nil {
				defer store.Close()
				if _, err := store.Swap(t.Context(), "a", nil, 0); err != nil {
					t.Error(err)
				}
			}
			if (err != nil) != test.refused || fault.Of(err) == fault.Unknown {
				t.Errorf("%v", err)
			}
			if err != nil && strings.Contains(err.Error(), "the root's") {
				t.Errorf("it tells the password: %v", err)
			}
		})
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// authority issues certificates for tests.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T, dir string) *authority {
	t.Helper()
	a := &authority{dir: dir, pool: x509.NewCertPool()}
	a.cert, a.key = a.make(t, "ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) issue(t *testing.T, name string) {
	t.Helper()
	a.make(t, name, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
}

func (a *authority) make(t *testing.T, name string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(a.dir, name+".pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, filepath.Join(a.dir, name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	return cert, key
}

// TestParsePlace holds which texts name a place.
func TestParsePlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, text)
		return path
	}
	password, empty, junk := file("password", "secret\n"), file("empty", "\n"), file("junk", "junk")
	for text, want := range map[string]string{
		"etcd://a:2379,b:2380,c/tbctl":                           "http://a:2379 http://b:2380 http://c:2379 tbctl",
		"etcd://a/x/y/":                                          "http://a:2379 x/y",
		"etcd://[::1]:1,[::2]/x":                                 "http://[::1]:1 http://[::2]:2379 x",
		"etcd://a/x?tls=on":                                      "https://a:2379 x",
		"etcd://ann@127.0.0.1/x?password-file=" + password:       "http://127.0.0.1:2379 x ann secret",
		"etcd://ann@etcd1/x?tls=on&password-file=" + password:    "https://etcd1:2379 x ann secret",
		"etcd://ann@etcd1/x?password-file=" + password:           "",
		"etcd://ann@127.0.0.1,etcd1/x?password-file=" + password: "",
		"etcd://ann:secret@a/x":                                  "",
		"etcd://ann@a/x?tls=on":                                  "",
		"etcd://a/x?tls=on&password-file=" + password:            "",
		"etcd://ann@a/x?tls=on&password-file=" + empty:           "",
		"etcd://a/x?ca-file=" + junk:                             "",
		"etcd://a/x?cert-file=" + junk:                           "",
		"etcd://a/x?cert-file=" + junk + "&key-file=" + junk:     "",
		"etcd://a/x?ca-file=" + filepath.Join(dir, "none"):       "",
		"etcd://a/x?tls=off":                                     "",
		"etcd://a/x?tls=on&tls=on":                               "",
		"etcd://a/x?more=1":                                      "",
		"etcd://a/x?%zz":                                         "",
		"etcd://a":                                               "",
		"etcd://a/":                                              "",
		"etcd:///x":                                              "",
		"etcd://a,,b/x":                                          "",
		"etcd://a/x y":                                           "",
		"etcd://" + strings.Repeat("a,", 16) + "a/x":             "",
		"etcd://a/" + strings.Repeat("x", 200):                   "",
		"http://a/x":                                             "",
		"":                                                       "",
	} {
		place, err := etcd.ParsePlace(text)
		got := ""
		if err == nil {
			got = strings.TrimSpace(strings.Join(append(place.Endpoints, place.Prefix, place.User, place.Password), " "))
		}
		if got != want || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%s: %q, want %q; %v", text, got, want, err)
		}
	}
}

// TestSilent holds that etcd that does not answer is said with each address, and with what a connection there comes to.
func TestSilent(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mute.Close() })
	plain := testetcd.Start(t, "http://")
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for _, test := range []struct{ where, want string }{
		{closed.Addr().String() + "/p", closed.Addr().String() + ": connection refused"},
		{closed.Addr().String() + "," + mute.Addr().String() + "/p", mute.Addr().String() + ": it takes connections, and says nothing"},
		{plain + "/p?tls=on", plain + ": it breaks off where TLS begins"},
		{secure.Listener.Addr().String() + "/p?tls=on", "no authority that is known here vouches for the server's certificate"},
		{secure.Listener.Addr().String() + "/p", "it speaks TLS: ?tls=on, or ?ca-file=FILE"},
	} {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			if _, err := open(t, etcd.Scheme+test.where); !errors.Is(err, engine.ErrSilent) || !strings.Contains(err.Error(), test.want) || strings.Count(err.Error(), "does not answer:") > 1 {
				t.Errorf("%v, want %s", err, test.want)
			} else {
				t.Log(err)
			}
		})
	}
}
