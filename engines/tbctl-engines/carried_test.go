package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"aead.dev/minisign"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

// TestSignature holds that a signature that was pushed with an executable counts at an import, by its key alone, and is kept there.
func TestSignature(t *testing.T) {
	t.Parallel()
	r := startRegistry(t, false)
	known, file := r.speak(t, true), newBinary(t, linux)
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, _, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	push := file.push(r.reference("tb", linux))
	unsigned := file.push(r.reference("unsigned", linux))
	reader := minisign.NewReader(bytes.NewReader(file.data))
	if _, err := io.Copy(io.Discard, reader); err != nil {
		t.Fatal(err)
	}
	push.Signature = string(reader.Sign(private))
	long := push
	long.Signature = strings.Repeat("x", engine.SignatureSizeMax+1)
	if _, err := known.Push(t.Context(), long); err == nil || !strings.Contains(err.Error(), "signature of") {
		t.Errorf("a signature that is too long: %v", err)
	}
	for _, each := range []engine.Push{push, unsigned} {
		if _, err := known.Push(t.Context(), each); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		where string
		key   minisign.PublicKey
		class fault.Class
	}{
		"signed": {"tb:0.17.8", public, fault.None}, "by another key": {"tb:0.17.8", stranger, fault.Rejected}, "not signed": {"unsigned:0.17.8", public, fault.Rejected},
	} {
		d := depot.Open(vfs.OS(), t.TempDir())
		result, err := bring(t.Context(), t, known, r.reference(tc.where, linux), d, release.Options{PublicKey: tc.key.String()})
		if tc.class != fault.None {
			if fault.Of(err) != tc.class {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || !release.AnyHeld(result.Fetched.Evidence) {
			t.Fatalf("%s: %v, %+v", name, err, result.Fetched.Evidence)
		}
		kept := ""
		for _, receipt := range result.Artifact.Receipts {
			if receipt.Kind == string(release.EvidenceMinisign) {
				kept = receipt.Signature
			}
		}
		if kept != push.Signature {
			t.Errorf("%s: kept is %q", name, kept)
		}
	}
}

// TestProgramKilled kills the program in the middle of an import: the next import goes on with what came, and has the same bytes.
func TestProgramKilled(t *testing.T) {
	t.Parallel()
	r := startRegistry(t, false)
	known, file := r.speak(t, true), newLargeBinary(t)
	if _, err := known.Push(t.Context(), file.push(r.reference("tb", linux))); err != nil {
		t.Fatal(err)
	}
	doomed, kill := r.speakDoomed(t)
	var once sync.Once
	cache, d := t.TempDir(), depot.Open(vfs.OS(), t.TempDir())
	killing := func(p release.Progress) {
		if p.Done > 0 {
			once.Do(kill)
		}
	}
	_, err := bring(t.Context(), t, doomed, r.reference("tb:0.17.8", linux), d, release.Options{CacheDir: cache, Progress: killing})
	if fault.Of(err) != fault.Failed || !strings.Contains(err.Error(), engine.Name) {
		t.Fatalf("%v", err)
	}
	result, err := bring(t.Context(), t, known, r.reference("tb:0.17.8", linux), d, release.Options{CacheDir: cache})
	fetched := result.Fetched
	if err != nil || fetched.BytesResumed == 0 || fetched.BytesResumed+fetched.BytesFetched != int64(len(file.data)) {
		t.Fatalf("%v, %+v", err, fetched)
	}
	t.Logf("%d of %d bytes had come", fetched.BytesResumed, len(file.data))
	if got, err := os.ReadFile(d.Path(file.digest)); err != nil || !bytes.Equal(got, file.data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestPushKilled kills the program in the middle of a push: no tag names what is not there, and the same push again is whole.
func TestPushKilled(t *testing.T) {
	t.Parallel()
	r := startRegistry(t, false)
	file := newLargeBinary(t)
	known := r.speak(t, true)
	// The executable is a pipe that gives half of itself: the program waits for the other half, and is killed then.
	half := filepath.Join(t.TempDir(), "half")
	if err := syscall.Mkfifo(half, 0o600); err != nil {
		t.Fatal(err)
	}
	doomed, kill := r.speakDoomed(t)
	push := file.push(r.reference("tb", linux))
	push.Path = half
	failed := make(chan error, 1)
	go func() {
		_, err := doomed.Push(t.Context(), push)
		failed <- err
	}()
	pipe, err := os.OpenFile(half, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if _, err := pipe.Write(file.data[:len(file.data)/2]); err != nil {
		t.Fatal(err)
	}
	kill()
	if err := <-failed; err == nil || !strings.Contains(err.Error(), engine.Name) {
		t.Errorf("%v", err)
	}
	if found, err := known.Resolve(t.Context(), r.reference("tb:0.17.8", linux)); err == nil {
		t.Errorf("there is a tag: %+v", found)
	}
	if pushed, err := known.Push(t.Context(), file.push(r.reference("tb", linux))); err != nil || pushed.Already {
		t.Fatalf("%+v, %v", pushed, err)
	}
	d := depot.Open(vfs.OS(), t.TempDir())
	result, err := bring(t.Context(), t, known, r.reference("tb:0.17.8", linux), d, release.Options{})
	if err != nil || result.Artifact.SHA256 != file.digest {
		t.Fatalf("%v, %+v", err, result.Artifact)
	}
	if got, err := os.ReadFile(d.Path(file.digest)); err != nil || !bytes.Equal(got, file.data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// speakDoomed starts the program with the password, and returns what kills it.
func (r *registry) speakDoomed(t *testing.T) (*engine.Engine, func()) {
	t.Helper()
	pid := filepath.Join(t.TempDir(), "pid")
	started, err := engine.Start(t.Context(), script(t, "env", "DOCKER_CONFIG="+r.login, "sh", "-c", "'echo $$ >"+pid+"; exec \"$@\"'", "sh"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { started.Close() })
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return started, func() {
		if err := syscall.Kill(number, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
}

// newLargeBinary is one of which not all is on its way at once.
func newLargeBinary(t *testing.T) *binary {
	t.Helper()
	b := &binary{path: filepath.Join(t.TempDir(), "tigerbeetle")}
	b.data = testbin.Build(t, testbin.Spec{Platform: linux, Current: multiversion.NewRelease(0, 17, 8), Past: testbin.PastOf("0.17.7"), Size: 32 << 20})
	b.digest = fmt.Sprintf("%x", sha256.Sum256(b.data))
	testbin.WriteFile(t, b.path, b.data)
	return b
}
