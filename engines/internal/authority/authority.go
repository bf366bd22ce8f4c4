// Package authority trusts the certificates of an authority besides the system's.
package authority

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
)

const sizeMax = 1 << 20 // bytes of a file of certificates

// Trusting trusts the certificates of a file, as PEM, besides the system's.
func Trusting(name string) (*tls.Config, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, sizeMax))
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate in it", name)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}
