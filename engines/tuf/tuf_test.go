package tuf_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/engines/internal/testtuf"
	"github.com/tbctl/tbctl/engines/tuf"
	"github.com/tbctl/tbctl/fault"
)

const name = "0.17.8/tigerbeetle-x86_64-linux"

// find asks for the target, with the root or without.
func find(t *testing.T, r *testtuf.Repo, dir string, root []byte) (engine.Found, error) {
	t.Helper()
	return tuf.Client{}.Find(t.Context(), engine.Wanted{URL: r.URL, Root: root, Dir: dir, Names: []string{name, name + ".zip"}})
}

// seen is a repository with the target, and a directory in which it was seen.
func seen(t *testing.T) (*testtuf.Repo, string) {
	t.Helper()
	r, dir := testtuf.New(t), t.TempDir()
	r.Add(name, []byte("the bytes"))
	r.Next()
	if _, err := find(t, r, dir, r.FirstRoot()); err != nil {
		t.Fatal(err)
	}
	return r, dir
}

// TestFind holds what is found, that what was seen is kept and enough without a root, and that the executable comes before the archive.
func TestFind(t *testing.T) {
	t.Parallel()
	r, dir := testtuf.New(t), t.TempDir()
	r.Add(name+".zip", []byte("the archive"))
	r.Next()
	if _, err := find(t, r, dir, nil); !errors.Is(err, engine.ErrTUFNoRoot) || fault.Of(err) != fault.Usage {
		t.Errorf("without a root: %v", err)
	}
	found, err := find(t, r, dir, r.FirstRoot())
	if err != nil || found.Signed.Target != name+".zip" || found.Signed.Size != int64(len("the archive")) {
		t.Fatalf("%v, %+v", err, found)
	}
	r.Add(name, []byte("the bytes"))
	r.Next()
	found, err = find(t, r, dir, nil)
	if err != nil || found.Signed.Target != name {
		t.Fatalf("%v, %+v", err, found)
	}
	if at := strings.TrimPrefix(found.URL, r.URL+"/"); !bytes.Equal(r.Get(at), []byte("the bytes")) {
		t.Errorf("the bytes are not at %s", found.URL)
	}
	want := map[string]int64{"root": 1, "timestamp": 3, "snapshot": 3, "targets": 3}
	for _, role := range found.Signed.Roles {
		if role.Version != want[role.Role] || len(role.Keys) != 1 || role.Expires.Before(time.Now()) {
			t.Errorf("%+v", role)
		}
		delete(want, role.Role)
	}
	if len(want) != 0 {
		t.Errorf("no %v", want)
	}
}

// TestTrouble holds that each kind of trouble has its own error, and that nothing worse is trusted afterwards: what is good again is found.
func TestTrouble(t *testing.T) {
	t.Parallel()
	past := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	for title, test := range map[string]struct {
		trouble func(t *testing.T, r *testtuf.Repo, dir string)
		want    error
		class   fault.Class
		text    string
	}{
		"an expired timestamp": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			r.Timestamp.Signed.Version++
			r.Timestamp.Signed.Expires = past
			r.SignTimestamp()
		}, engine.ErrTUFExpired, fault.Rejected, "timestamp 3 was good until"},
		"an expired snapshot": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			r.Snapshot.Signed.Expires = past
			r.Next()
		}, engine.ErrTUFExpired, fault.Rejected, "snapshot 3 was good until"},
		"expired targets": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			r.Targets.Signed.Expires = past
			r.Next()
		}, engine.ErrTUFExpired, fault.Rejected, "targets 3 was good until"},
		"an expired root": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			r.Root.Signed.Version++
			r.Root.Signed.Expires = past
			r.SignRoot(r.Keys[metadata.ROOT]...)
		}, engine.ErrTUFExpired, fault.Rejected, "root 2 was good until"},
		"an older timestamp": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			r.Timestamp.Signed.Version = 1
			r.SignTimestamp()
		}, engine.ErrTUFOlder, fault.Rejected, "timestamp"},
		"an older snapshot": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			r.Snapshot.Signed.Version, r.Targets.Signed.Version = 1, 1
			r.Timestamp.Signed.Version++
			r.Publish()
		}, engine.ErrTUFOlder, fault.Rejected, "snapshot version 1 must be >= 2"},
		"older targets in a newer snapshot": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			r.Targets.Signed.Version = 1
			r.Snapshot.Signed.Version++
			r.Timestamp.Signed.Version++
			r.Publish()
		}, engine.ErrTUFOlder, fault.Rejected, "3.snapshot.json"},
		"targets of another snapshot": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			r.Next()
			r.Put("metadata/3.targets.json", r.Get("metadata/2.targets.json"))
		}, engine.ErrTUFMixed, fault.Rejected, "3.targets.json"},
		"a snapshot of another timestamp": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			r.Next()
			r.Put("metadata/3.snapshot.json", r.Get("metadata/2.snapshot.json"))
		}, engine.ErrTUFMixed, fault.Rejected, "3.snapshot.json"},
		"a snapshot that is too short": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			r.Next()
			text := r.Get("metadata/3.snapshot.json")
			r.Put("metadata/3.snapshot.json", text[:len(text)-1])
		}, engine.ErrTUFMixed, fault.Rejected, "3.snapshot.json"},
		"one signature of two": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			r.AddKey(metadata.TARGETS)
			r.Root.Signed.Roles[metadata.TARGETS].Threshold = 2
			r.Root.Signed.Version++
			r.SignRoot(r.Keys[metadata.ROOT]...)
			r.Keys[metadata.TARGETS] = r.Keys[metadata.TARGETS][:1]
			r.Next()
		}, engine.ErrTUFUnsigned, fault.Rejected, "got 1, want 2"},
		"a root that the old keys did not sign": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			key := r.AddKey(metadata.ROOT)
			r.Root.Signed.Version++
			r.SignRoot(key)
		}, engine.ErrTUFUnsigned, fault.Rejected, "2.root.json"},
		"an endless timestamp": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			r.PutEndless("metadata/timestamp.json", r.Get("metadata/timestamp.json"))
		}, engine.ErrTUFLong, fault.Rejected, "timestamp.json has more than"},
		"endless targets": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			r.Next()
			r.PutEndless("metadata/3.targets.json", r.Get("metadata/3.targets.json"))
		}, engine.ErrTUFLong, fault.Rejected, "3.targets.json has more than"},
		"something else": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			r.Put("metadata/timestamp.json", []byte("<html>"))
		}, engine.ErrTUFMetadata, fault.Rejected, "timestamp.json"},
		"a timestamp that names nothing": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			r.Timestamp.Signed.Version++
			r.Timestamp.Signed.Meta = nil
			r.SignTimestamp()
		}, engine.ErrTUFMetadata, fault.Rejected, ""},
		"no timestamp": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			r.Remove("metadata/timestamp.json")
		}, engine.ErrTUFMissing, fault.Failed, "timestamp.json"},
		"no such target": {func(_ *testing.T, r *testtuf.Repo, _ string) {
			delete(r.Targets.Signed.Targets, name)
			r.Add("0.17.7/tigerbeetle-x86_64-linux", []byte("other bytes"))
			r.Next()
		}, engine.ErrTUFTarget, fault.Failed, "it has 0.17.7"},
		"a kept timestamp that is damaged": {func(t *testing.T, _ *testtuf.Repo, dir string) {
			damage(t, dir, "timestamp.json", func(text []byte) []byte { return text[:len(text)/2] })
		}, engine.ErrTUFKept, fault.Failed, "timestamp.json"},
		"a kept timestamp that was changed": {func(t *testing.T, _ *testtuf.Repo, dir string) {
			damage(t, dir, "timestamp.json", func(text []byte) []byte { return bytes.Replace(text, []byte(`"version":2`), []byte(`"version":1`), 1) })
		}, engine.ErrTUFKept, fault.Failed, "timestamp.json"},
		"a kept root that is empty": {func(t *testing.T, _ *testtuf.Repo, dir string) {
			damage(t, dir, "1.root.json", func([]byte) []byte { return nil })
		}, engine.ErrTUFKept, fault.Failed, "1.root.json"},
		"a kept root that others may write": {func(t *testing.T, _ *testtuf.Repo, dir string) {
			open(t, dir, "1.root.json", 0o622)
		}, engine.ErrTUFOthers, fault.Refused, "1.root.json"},
		"a kept timestamp that others may write": {func(t *testing.T, _ *testtuf.Repo, dir string) {
			open(t, dir, "timestamp.json", 0o666)
		}, engine.ErrTUFOthers, fault.Refused, "others may write it"},
		"a kept root in a directory that others may write": {func(t *testing.T, _ *testtuf.Repo, dir string) {
			open(t, dir, "", 0o777)
		}, engine.ErrTUFOthers, fault.Refused, "its directory"},
		"a kept root of another user": {func(t *testing.T, _ *testtuf.Repo, dir string) {
			if os.Geteuid() != 0 {
				t.Skip("skipped: only root gives files away")
			}
			names, err := filepath.Glob(filepath.Join(dir, "*", "1.root.json"))
			if err != nil || len(names) != 1 || os.Chown(names[0], 65534, 65534) != nil {
				t.Fatalf("%q, %v", names, err)
			}
		}, engine.ErrTUFOthers, fault.Refused, "it belongs to user 65534"},
		"repositories in a directory that others may write": {func(t *testing.T, _ *testtuf.Repo, dir string) {
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
		}, engine.ErrTUFOthers, fault.Refused, "its directory"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			r, dir := seen(t)
			test.trouble(t, r, dir)
			found, err := find(t, r, dir, nil)
			if !errors.Is(err, test.want) || fault.Of(err) != test.class || !strings.Contains(err.Error(), test.text) {
				t.Fatalf("%v, %+v", err, found)
			}
			if again, _ := find(t, r, dir, nil); again.URL != "" { // it is no better the second time
				t.Errorf("%+v", again)
			}
		})
	}
}

// open gives a file that is kept, or its directory, another mode.
func open(t *testing.T, dir, file string, mode os.FileMode) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*", file))
	if err != nil || len(names) != 1 {
		t.Fatalf("%q, %v", names, err)
	}
	if err := os.Chmod(names[0], mode); err != nil {
		t.Fatal(err)
	}
}

// damage changes a file that is kept.
func damage(t *testing.T, dir, file string, change func([]byte) []byte) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*", file))
	if err != nil || len(names) != 1 {
		t.Fatalf("%q, %v", names, err)
	}
	text, err := os.ReadFile(names[0])
	if err == nil {
		err = os.WriteFile(names[0], change(text), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestAway holds that a server that is gone is said as that, and that the end of the context ends it.
func TestAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wanted := engine.Wanted{URL: "http://127.0.0.1:1/tb", Root: testtuf.New(t).FirstRoot(), Dir: dir, Names: []string{name}}
	if _, err := (tuf.Client{}).Find(t.Context(), wanted); !errors.Is(err, engine.ErrTUFAway) || fault.Of(err) != fault.Failed {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (tuf.Client{}).Find(ctx, wanted); fault.Of(err) != fault.Interrupted {
		t.Errorf("%v", err)
	}
	if kept, _ := filepath.Glob(filepath.Join(dir, "*", "*.json")); len(kept) != 0 {
		t.Errorf("a root that nothing has confirmed is kept: %q", kept)
	}
}

// TestRoots holds that a root that the old keys signed is trusted, from then on without the old keys, and which roots may be named.
func TestRoots(t *testing.T) {
	t.Parallel()
	r, dir := seen(t)
	first := r.FirstRoot()
	old, key := r.Keys[metadata.ROOT][0], r.AddKey(metadata.ROOT)
	if err := r.Root.Signed.RevokeKey(r.Root.Signed.Roles[metadata.ROOT].KeyIDs[0], metadata.ROOT); err != nil {
		t.Fatal(err)
	}
	r.Root.Signed.Version++
	r.SignRoot(old, key)
	second := r.Get("metadata/2.root.json")
	if found, err := find(t, r, dir, nil); err != nil || found.Signed.Roles[0].Version != 2 {
		t.Fatalf("%v, %+v", err, found)
	}
	r.Remove("metadata/2.root.json") // the server goes back to the first one
	if found, err := find(t, r, dir, nil); err != nil || found.Signed.Roles[0].Version != 2 {
		t.Errorf("%v, %+v", err, found)
	}
	stranger := testtuf.New(t).FirstRoot()
	later := bytes.Replace(second, []byte(`"version":2`), []byte(`"version":3`), 1)
	for title, test := range map[string]struct {
		root []byte
		want error
	}{
		"the first": {first, nil}, "the second": {second, nil}, "another one": {stranger, engine.ErrTUFRoot},
		"one that the server does not have": {later, engine.ErrTUFRoot}, "something else": {[]byte("{}"), engine.ErrTUFMetadata},
	} {
		if _, err := find(t, r, dir, test.root); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", title, err)
		}
	}
	r.Root.Signed.Version++
	r.SignRoot(old) // whose key counts for nothing any more
	if _, err := find(t, r, dir, nil); !errors.Is(err, engine.ErrTUFUnsigned) {
		t.Errorf("%v", err)
	}
	r.SignRoot([]ed25519.PrivateKey{key}...)
	if _, err := find(t, r, dir, nil); err != nil {
		t.Errorf("%v", err)
	}
}

// TestKeyIsCompromised holds that a timestamp far ahead, by a key that was taken away since, does not keep out the right ones.
func TestKeyIsCompromised(t *testing.T) {
	t.Parallel()
	r, dir := seen(t)
	r.Timestamp.Signed.Version = 1000
	r.SignTimestamp()
	if _, err := find(t, r, dir, nil); err != nil {
		t.Fatal(err)
	}
	id := r.Root.Signed.Roles[metadata.TIMESTAMP].KeyIDs[0]
	r.Keys[metadata.TIMESTAMP] = nil
	r.AddKey(metadata.TIMESTAMP)
	if err := r.Root.Signed.RevokeKey(id, metadata.TIMESTAMP); err != nil {
		t.Fatal(err)
	}
	r.Root.Signed.Version++
	r.SignRoot(r.Keys[metadata.ROOT]...)
	r.Timestamp.Signed.Version = 3
	r.SignTimestamp()
	if found, err := find(t, r, dir, nil); err != nil || found.Signed.Roles[1].Version != 3 {
		t.Errorf("%v, %+v", err, found)
	}
}
