// Package testtuf has a repository of The Update Framework for tests, whose every file can be made wrong.
package testtuf

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Repo is a repository with one key for each role.
type Repo struct {
	Root      *metadata.Metadata[metadata.RootType]
	Timestamp *metadata.Metadata[metadata.TimestampType]
	Snapshot  *metadata.Metadata[metadata.SnapshotType]
	Targets   *metadata.Metadata[metadata.TargetsType]
	Keys      map[string][]ed25519.PrivateKey // by role

	t       *testing.T
	mu      sync.Mutex
	files   map[string][]byte
	endless map[string]bool
	root    []byte // the first one
	URL     string
	Close   func() // ends the server
}

// New makes one with nothing in it, and serves it.
func New(t *testing.T) *Repo {
	t.Helper()
	later := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	r := &Repo{
		t: t, files: make(map[string][]byte), endless: make(map[string]bool), Keys: make(map[string][]ed25519.PrivateKey),
		Root: metadata.Root(later), Timestamp: metadata.Timestamp(later), Snapshot: metadata.Snapshot(later), Targets: metadata.Targets(later),
	}
	for _, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		r.AddKey(role)
	}
	r.SignRoot(r.Keys[metadata.ROOT]...)
	r.root = r.Get("metadata/1.root.json")
	r.Publish()
	server := httptest.NewServer(r)
	r.URL, r.Close = server.URL, server.Close
	t.Cleanup(server.Close)
	return r
}

// FirstRoot is the root that a client trusts.
func (r *Repo) FirstRoot() []byte { return r.root }

// AddKey makes another key of a role.
func (r *Repo) AddKey(role string) ed25519.PrivateKey {
	r.t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	key, err := metadata.KeyFromPublicKey(private.Public())
	if err == nil {
		err = r.Root.Signed.AddKey(key, role)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.Keys[role] = append(r.Keys[role], private)
	return private
}

// Add adds a target.
func (r *Repo) Add(name string, data []byte) {
	r.t.Helper()
	file, err := metadata.TargetFile().FromBytes(name, data, "sha256")
	if err != nil {
		r.t.Fatal(err)
	}
	r.Targets.Signed.Targets[name] = file
	sum := sha256.Sum256(data)
	r.Put("targets/"+path.Dir(name)+"/"+hex.EncodeToString(sum[:])+"."+path.Base(name), data)
}

// Publish signs targets, snapshot and timestamp as they are, and puts them in their places.
func (r *Repo) Publish() {
	r.t.Helper()
	text := sign(r, r.Targets, r.Keys[metadata.TARGETS]...)
	r.Put(fmt.Sprintf("metadata/%d.targets.json", r.Targets.Signed.Version), text)
	r.Snapshot.Signed.Meta["targets.json"] = file(r.Targets.Signed.Version, text)
	text = sign(r, r.Snapshot, r.Keys[metadata.SNAPSHOT]...)
	r.Put(fmt.Sprintf("metadata/%d.snapshot.json", r.Snapshot.Signed.Version), text)
	r.Timestamp.Signed.Meta["snapshot.json"] = file(r.Snapshot.Signed.Version, text)
	r.SignTimestamp()
}

// Next makes the next version of targets, snapshot and timestamp.
func (r *Repo) Next() {
	r.t.Helper()
	r.Targets.Signed.Version++
	r.Snapshot.Signed.Version++
	r.Timestamp.Signed.Version++
	r.Publish()
}

// Expire makes the next version of all metadata, which has expired.
func (r *Repo) Expire() {
	r.t.Helper()
	past := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	r.Root.Signed.Expires, r.Targets.Signed.Expires, r.Snapshot.Signed.Expires, r.Timestamp.Signed.Expires = past, past, past, past
	r.Root.Signed.Version++
	r.SignRoot(r.Keys[metadata.ROOT]...)
	r.Next()
}

// SignTimestamp signs the timestamp alone.
func (r *Repo) SignTimestamp() {
	r.t.Helper()
	r.Put("metadata/timestamp.json", sign(r, r.Timestamp, r.Keys[metadata.TIMESTAMP]...))
}

// SignRoot signs the root with these keys.
func (r *Repo) SignRoot(keys ...ed25519.PrivateKey) {
	r.t.Helper()
	r.Put(fmt.Sprintf("metadata/%d.root.json", r.Root.Signed.Version), sign(r, r.Root, keys...))
}

func file(version int64, text []byte) *metadata.MetaFiles {
	sum := sha256.Sum256(text)
	return &metadata.MetaFiles{Version: version, Length: int64(len(text)), Hashes: metadata.Hashes{"sha256": sum[:]}}
}

func sign[T metadata.Roles](r *Repo, what *metadata.Metadata[T], keys ...ed25519.PrivateKey) []byte {
	r.t.Helper()
	what.Signatures = nil
	for _, key := range keys {
		signer, err := signature.LoadED25519Signer(key)
		if err == nil {
			_, err = what.Sign(signer)
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
	text, err := what.ToBytes(false)
	if err != nil {
		r.t.Fatal(err)
	}
	return text
}

// Put puts a file in its place.
func (r *Repo) Put(name string, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[name] = data
	r.endless[name] = false
}

// PutEndless puts a file in its place that has no end.
func (r *Repo) PutEndless(name string, begin []byte) {
	r.Put(name, begin)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endless[name] = true
}

// Remove removes a file.
func (r *Repo) Remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.files, name)
}

// Get is a file.
func (r *Repo) Get(name string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files[name]
}

// ServeHTTP serves the files.
func (r *Repo) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	name := strings.TrimPrefix(request.URL.Path, "/")
	data := r.Get(name)
	if data == nil {
		http.NotFound(w, request)
		return
	}
	_, err := w.Write(data)
	r.mu.Lock()
	endless := r.endless[name]
	r.mu.Unlock()
	for endless && err == nil { // until nobody reads it
		_, err = w.Write(data)
	}
}
