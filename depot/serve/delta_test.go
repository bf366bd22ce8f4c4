package serve_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot/serve"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
)

// heldOf are the executables of a binary.
func heldOf(t *testing.T, data []byte) (*delta.Files, string) {
	t.Helper()
	files := &delta.Files{}
	files.Open(testbin.Load(t, data), "before", nil)
	return files, delta.FormatHeld(files.Newest(delta.HeldMax))
}

// TestDelta holds that a delta and what the receiver has make the artifact, that it is announced where the artifact is, and that what
// was made once is kept for another server.
func TestDelta(t *testing.T) {
	t.Parallel()
	before := testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.7"), Past: testbin.PastOf("0.17.5", "0.17.6")})
	after := testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.9"), From: before})
	kept := &delta.Kept{FS: vfs.OS(), Dir: filepath.Join(t.TempDir(), "deltas")}
	w := newWorld(t, func(s *serve.Server) { s.Kept = kept })
	digest := put(t, w.depot, after)
	for path, want := range map[string]string{
		serve.PathDigest + digest: digest + "/delta", "/0.17.9/tigerbeetle-x86_64-linux.zip": "../sha256/" + digest + "/delta",
	} {
		if got := w.ask(t, http.MethodHead, path); got.Header.Get(delta.Header) != want {
			t.Errorf("%s: deltas are said to be at %q", path, got.Header.Get(delta.Header))
		}
	}
	files, held := heldOf(t, before)
	path := serve.PathDigest + digest + "/delta?held="
	for text, most := range map[string]int{held: len(after) / 100, "": len(after)} {
		got := w.ask(t, http.MethodGet, path+text)
		head, rest, err := delta.ReadHead(bytes.NewReader(got.body))
		if got.StatusCode != http.StatusOK || err != nil || len(got.body) > most || head.Whole() != (text == "") {
			t.Fatalf("%d with %d bytes: %v", got.StatusCode, len(got.body), err)
		}
		var made bytes.Buffer
		if err := head.Rebuild(t.Context(), &made, files.Held, rest); err != nil || !bytes.Equal(made.Bytes(), after) {
			t.Errorf("another file was made: %v", err)
		}
		if again := w.ask(t, http.MethodGet, path+text); !bytes.Equal(again.body, got.body) {
			t.Error("the next one is another")
		}
	}
	names, err := os.ReadDir(kept.Dir)
	if c := w.server.Counters(); err != nil || len(names) != 2 || c.Deltas != 4 || c.Artifacts != 0 {
		t.Errorf("%d are kept, %+v, %v", len(names), c, err)
	}
}

// TestDeltaRefused holds what is refused, and how.
func TestDeltaRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	path := serve.PathDigest + w.digest + "/delta"
	zero := strings.Repeat("0", 32)
	for query, want := range map[string]int{
		"?held=x": 400, "?held=" + zero + ",": 400, "?held=," + zero: 400, "?held=" + zero[1:]: 400, "?held=" + strings.Repeat(zero+",", delta.HeldMax) + zero: 400,
		"?held=" + strings.Repeat(zero+",", delta.HeldMax-1) + zero: 200, "?held=" + zero + "&other=1": 200, "": 200, "?": 200,
	} {
		if got := w.ask(t, http.MethodGet, path+query); got.StatusCode != want || want != 200 && got.Header.Get("Cache-Control") != "" {
			t.Errorf("%.60s: %d, %v", query, got.StatusCode, got.Header)
		}
	}
	for _, method := range []string{http.MethodHead, http.MethodPost, http.MethodPut} {
		if got := w.ask(t, method, path); got.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, got.StatusCode)
		}
	}
	for _, other := range []string{serve.PathDigest + strings.Repeat("0", 64) + "/delta", path + "/", path + "/delta", serve.PathDigest + "delta", serve.PathDigest + "/delta"} {
		if got := w.ask(t, http.MethodGet, other); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", other, got.StatusCode)
		}
	}
	if c := w.server.Counters(); c.Malformed != 5 || c.Failed != 0 {
		t.Errorf("%+v", c)
	}
}

// TestDeltaFlood holds that many different deltas that are asked for at once are made one after the other or refused, and that
// artifacts are given meanwhile.
func TestDeltaFlood(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *serve.Server) { s.RequestsMax = 8; s.Wait = time.Minute })
	past := testbin.Load(t, w.binary).Images[0].Header.Past
	var all sync.WaitGroup
	statuses := make(chan int, 64)
	for number := range 32 {
		var held []multiversion.Checksum
		for index := range past {
			if number>>index&1 == 1 {
				held = append(held, past[index].Checksum)
			}
		}
		path := fmt.Sprintf("%s%s/delta?held=%s", serve.PathDigest, w.digest, delta.FormatHeld(held))
		all.Go(func() { statuses <- w.ask(t, http.MethodGet, path).StatusCode })
		all.Go(func() {
			if got := w.ask(t, http.MethodGet, serve.PathDigest+w.digest); got.StatusCode != http.StatusOK {
				t.Errorf("the artifact: %d", got.StatusCode)
			}
		})
	}
	all.Wait()
	close(statuses)
	made := 0
	for status := range statuses {
		if status == http.StatusOK {
			made++
		} else if status != http.StatusServiceUnavailable {
			t.Errorf("%d", status)
		}
	}
	if made == 0 {
		t.Error("none was made")
	}
}

// TestDeltaWaits holds that who would wait for too long for a delta is sent away, and that it is made when it is asked for again.
func TestDeltaWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.web.URL+serve.PathDigest+w.digest+"/delta", nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := http.DefaultTransport.RoundTrip(request); err == nil {
		answer.Body.Close()
		t.Error("a request that was given up is answered")
	}
	if got := w.ask(t, http.MethodGet, serve.PathDigest+w.digest+"/delta"); got.StatusCode != http.StatusOK {
		t.Errorf("%d", got.StatusCode)
	}
}
