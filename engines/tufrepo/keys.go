package tufrepo

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"runtime"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/vfs"
)

const (
	keySizeMax    = 64 << 10
	publicSuffix  = ".pub"
	privateBlock  = "PRIVATE KEY"
	publicBlock   = "PUBLIC KEY"
	othersMayRead = 0o077
)

var (
	// ErrKey says that a file has no key.
	ErrKey = fault.New(fault.Usage, "not an Ed25519 key as PEM: tbctl-engines tuf key FILE makes one")
	// ErrPublic says that a file has the public half of a key, where the private one is needed.
	ErrPublic = fault.New(fault.Usage, "it is the public half of a key, and only the private one signs")
	// ErrKeyMode says that others may read a private key.
	ErrKeyMode = fault.New(fault.Refused, "others may read the private key: chmod 600 it, and make another one if they have")
)

// Key is a key of a publisher, private or only its public half.
type Key struct {
	ID     string
	File   string // that it was read from
	public *metadata.Key
	signer signature.Signer // nil: the private half is not here
}

// MakeKey makes a key in two files that must not exist: name, which only its owner may read, and name.pub for others. It returns its id.
func MakeKey(name string) (string, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", err
	}
	open, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", err
	}
	for _, file := range []struct {
		name, block string
		der         []byte
		mode        vfs.Mode
	}{{name + publicSuffix, publicBlock, open, 0o644}, {name, privateBlock, secret, 0o600}} {
		err := durable.WriteFile(vfs.OS(), file.name, file.mode, false, func(w io.Writer) error {
			return pem.Encode(w, &pem.Block{Type: file.block, Bytes: file.der})
		})
		if err != nil {
			return "", fmt.Errorf("make the key %s: %w", file.name, err)
		}
	}
	key, err := ReadKey(name)
	return key.ID, err
}

// ReadKey reads a file that [MakeKey] made, or any Ed25519 key as PKCS #8 or PKIX in PEM. A private key that others may read is [ErrKeyMode].
func ReadKey(name string) (key Key, err error) {
	key.File = name
	file, info, err := vfs.OpenFile(name, vfs.RegularOnly(vfs.ErrNotRegular))
	if err != nil {
		return key, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, keySizeMax))
	if err != nil {
		return key, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return key, fmt.Errorf("%s: %w", name, ErrKey)
	}
	var public any
	switch block.Type {
	case publicBlock:
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case privateBlock:
		if mode := info.Mode().Perm(); mode&othersMayRead != 0 && runtime.GOOS != "windows" {
			return key, fmt.Errorf("%s: %w", name, ErrKeyMode)
		}
		var private any
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		if secret, is := private.(ed25519.PrivateKey); is {
			public = secret.Public()
			key.signer, err = signature.LoadED25519Signer(secret)
		}
	}
	open, is := public.(ed25519.PublicKey)
	if err != nil || !is {
		return key, fmt.Errorf("%s: %w", name, ErrKey)
	}
	if key.public, err = metadata.KeyFromPublicKey(open); err == nil {
		key.ID, err = key.public.ID()
	}
	return key, err
}

// ReadSigners reads private keys. The error of a public half is [ErrPublic].
func ReadSigners(names []string) ([]Key, error) {
	keys, err := ReadKeys(names)
	for _, key := range keys {
		if key.signer == nil {
			return nil, fmt.Errorf("%s: %w", key.File, ErrPublic)
		}
	}
	return keys, err
}

// ReadKeys reads several.
func ReadKeys(names []string) (keys []Key, err error) {
	for _, name := range names {
		key, err := ReadKey(name)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}
