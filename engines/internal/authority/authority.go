// Package authority trusts the certificates of an authority besides the system's, and knows what a connection by TLS failed by.
package authority

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/tbctl/tbctl/engine"
)

const sizeMax = 1 << 20 // bytes of a file of certificates

// Trusting trusts the certificates of a file, as PEM, besides the system's. The error is [engine.ErrCAFile].
func Trusting(name string) (*tls.Config, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrCAFile, err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, sizeMax))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrCAFile, err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%w: %s: no certificate in it", engine.ErrCAFile, name)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// Hindered says that a connection failed since the server's certificate is not vouched for ([engine.ErrAuthority]), or since it speaks without
// TLS ([engine.ErrPlain]); nil: neither.
func Hindered(err error) error {
	var unknown x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return engine.ErrAuthority
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return engine.ErrPlain
	}
	return nil
}
