package release

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

// A deltaServer has one file, and makes deltas of it.
type deltaServer struct {
	*httptest.Server

	file  *delta.File
	press delta.Press
	said  string                                       // where the deltas are
	fault func(number int, w http.ResponseWriter) bool // answers a request for a delta in its place
	alter func(head *delta.Head, body []byte) []byte   // of what is sent

	deltas atomic.Int64 // requests
	parts  atomic.Int64
}

func newDeltaServer(t testing.TB, data []byte) *deltaServer {
	t.Helper()
	s := &deltaServer{file: delta.NewFile(sumOf(data), bytes.NewReader(data)), said: "deltas/1"}
	mux := http.NewServeMux()
	mux.HandleFunc("/dir/bare", func(w http.ResponseWriter, r *http.Request) {
		s.parts.Add(1)
		w.Header().Set(delta.Header, s.said)
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	})
	mux.HandleFunc("/dir/deltas/1", func(w http.ResponseWriter, r *http.Request) {
		if number := int(s.deltas.Add(1)); s.fault != nil && s.fault(number, w) {
			return
		}
		held, err := delta.ParseHeld(r.URL.Query().Get(delta.QueryHeld))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		head := s.file.For(func(checksum multiversion.Checksum) bool { return slices.Contains(held, checksum) })
		body, err := s.press.Make(r.Context(), s.file, head)
		if err == nil && s.alter != nil {
			body = s.alter(&head, bytes.Clone(body))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write(body)
	})
	s.Server = httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = quiet
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// withHead is a delta whose head is another.
func withHead(t testing.TB, head delta.Head, body []byte) []byte {
	t.Helper()
	line, err := json.Marshal(head)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(line, '\n'), body[bytes.IndexByte(body, '\n')+1:]...)
}

// TestDelta fetches a release over the one before it, on each platform, from a server that makes deltas.
func TestDelta(t *testing.T) {
	t.Parallel()
	for _, platform := range []multiversion.Platform{LinuxX86_64, LinuxAArch64, WindowsX86_64, MacOSUniversal} {
		before, after := twoReleases(t, platform)
		few := lacking(t, after) / 10
		if platform == MacOSUniversal {
			few = lacking(t, after) / 4 // of its two architectures' executables one is like the dictionary
		}
		s := newDeltaServer(t, after)
		calls := 0
		held := func() *delta.Files { calls++; return heldIn(t, before)() }
		got, b, err := fetch(t, s.URL+"/dir/bare", Options{Held: held, Platform: platform, SHA256: sumOf(after), CacheDir: t.TempDir()})
		if err != nil || !bytes.Equal(b, after) || !got.Trusted {
			t.Fatalf("%s: %+v, %v", platform, got, err)
		}
		if got.BytesDelta == 0 || got.BytesDelta != got.BytesFetched || got.BytesDelta > few || got.BytesHeld != int64(len(after))-lacking(t, after) ||
			got.HeldNote+got.DeltaNote+got.HeldDamage != "" || got.Validator != `"1"` || got.Attempts != 2 || calls != 1 || s.parts.Load() != 1 {
			t.Errorf("%s: %+v, %d parts, opened %d times", platform, got.Delivery, s.parts.Load(), calls)
		}
	}
}

// TestDeltaFaults holds that whatever a server does with deltas, the file is whole and right, and it is said in a note why none was used.
func TestDeltaFaults(t *testing.T) {
	t.Parallel()
	before, after := twoReleases(t, LinuxX86_64)
	foreign := multiversion.ChecksumOf([]byte("elsewhere"))
	status := func(code int) func(int, http.ResponseWriter) bool {
		return func(_ int, w http.ResponseWriter) bool { w.WriteHeader(code); return true }
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another server was asked") }))
	defer elsewhere.Close()
	for name, tc := range map[string]struct {
		said  string
		fault func(number int, w http.ResponseWriter) bool
		alter func(head *delta.Head, body []byte) []byte
		note  string
		asked int64
	}{
		"on another host":       {said: elsewhere.URL + "/deltas"},
		"on another host again": {said: strings.TrimPrefix(elsewhere.URL, "http:") + "/deltas"},
		"no reference":          {said: "%zz"},
		"not found":             {fault: status(404), note: "404", asked: 1},
		"busy":                  {fault: status(503), note: "503", asked: 1},
		"failed":                {fault: status(500), note: "500", asked: 1},
		"nothing":               {fault: status(200), note: "recipe", asked: 1},
		"encoded": {fault: func(_ int, w http.ResponseWriter) bool {
			w.Header().Set("Content-Encoding", "gzip")
			return false
		}, note: "encoded", asked: 1},
		"no recipe":       {alter: func(*delta.Head, []byte) []byte { return []byte("{}\n") }, note: "recipe", asked: 1},
		"a line too long": {alter: func(*delta.Head, []byte) []byte { return bytes.Repeat([]byte("{"), 1<<20) }, note: "more than", asked: 1},
		"of another file": {alter: func(head *delta.Head, body []byte) []byte {
			head.Recipe.Size++
			head.Recipe.Segments[len(head.Recipe.Segments)-1].Size++
			return withHead(t, *head, body)
		}, note: "bytes", asked: 1},
		"another's executable": {alter: func(head *delta.Head, body []byte) []byte {
			for index := range head.Recipe.Segments {
				if head.Recipe.Segments[index].Executable != nil {
					head.Recipe.Segments[index].Executable = &foreign
				}
			}
			return withHead(t, *head, body)
		}, note: "not here", asked: 1},
		"another's dictionary": {alter: func(head *delta.Head, body []byte) []byte {
			head.Dictionary = &foreign
			return withHead(t, *head, body)
		}, note: "not here", asked: 1},
		"it ends with the line": {alter: func(_ *delta.Head, body []byte) []byte { return body[:bytes.IndexByte(body, '\n')+1] }, note: "broke off", asked: 1},
		"it ends in the middle": {alter: func(_ *delta.Head, body []byte) []byte { return body[:len(body)-10] }, note: "broke off", asked: 1},
		"noise": {alter: func(_ *delta.Head, body []byte) []byte {
			return append(body[:bytes.IndexByte(body, '\n')+1], bytes.Repeat([]byte("noise"), 1000)...)
		}, note: "broke off", asked: 1},
		"frames of nothing": {alter: func(head *delta.Head, body []byte) []byte {
			_, lacking := head.Recipe.Lacking()
			frame := append([]byte{0x50, 0x2a, 0x4d, 0x18, 0, 0, 1, 0}, make([]byte, 1<<16)...) // one that is to be passed over
			return append(body[:bytes.IndexByte(body, '\n')+1], bytes.Repeat(frame, int(lacking+2*deltaSlack)>>16)...)
		}, note: "broke off", asked: 1},
		"another content": {alter: func(head *delta.Head, body []byte) []byte {
			_, size := head.Recipe.Lacking()
			line := bytes.NewBuffer(nil)
			head.Dictionary = nil
			text, _ := json.Marshal(head)
			line.Write(append(text, '\n'))
			w, err := delta.NewWriter(line, nil)
			if err != nil {
				t.Error(err)
				return nil
			}
			io.CopyN(w, zeros{}, size)
			w.Close()
			return line.Bytes()
		}, note: "", asked: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newDeltaServer(t, after)
			s.fault, s.alter = tc.fault, tc.alter
			if tc.said != "" {
				s.said = tc.said
			}
			got, b, err := fetch(t, s.URL+"/dir/bare", Options{Held: heldIn(t, before), CacheDir: t.TempDir(), SHA256: sumOf(after)})
			if err != nil || !bytes.Equal(b, after) {
				t.Fatalf("%d bytes came, %v: %+v", len(b), err, got)
			}
			if got.BytesHeld == 0 || got.HeldNote != "" || !strings.Contains(got.DeltaNote, tc.note) || (got.DeltaNote != "") != (tc.asked > 0) || s.deltas.Load() != tc.asked {
				t.Errorf("%d were asked for: %+v", s.deltas.Load(), got.Delivery)
			}
			if most := 2*lacking(t, after) + 8*headSize + deltaSlack; got.BytesFetched > most {
				t.Errorf("%d bytes came, at most %d are to", got.BytesFetched, most)
			}
			if (name == "another content") != (got.Restarts == 1) {
				t.Errorf("restarted %d times", got.Restarts)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestDeltaSeedsOfNoUse holds that damaged executables are named and left out, the dictionary too.
func TestDeltaSeedsOfNoUse(t *testing.T) {
	t.Parallel()
	before, after := twoReleases(t, LinuxX86_64)
	image := testbin.Load(t, before).Images[0]
	for name, offset := range map[string]int64{"a past one": image.PastExtent(0).Offset + 1000, "the dictionary": 1 << 16} {
		damaged := bytes.Clone(before)
		damaged[offset] ^= 1
		s := newDeltaServer(t, after)
		got, b, err := fetch(t, s.URL+"/dir/bare", Options{Held: heldIn(t, damaged), SHA256: sumOf(after)})
		if err != nil || !bytes.Equal(b, after) || s.deltas.Load() != 2 || got.BytesHeld == 0 || got.DeltaNote != "" || !strings.Contains(got.HeldDamage, delta.ErrDamaged.Error()) {
			t.Errorf("%s: %d asked for, %+v, %v", name, s.deltas.Load(), got.Delivery, err)
		}
	}
}

// TestDeltaIsNotAskedFor holds the rules of parts for deltas too: nothing without a digest, nothing where nothing is held.
func TestDeltaIsNotAskedFor(t *testing.T) {
	t.Parallel()
	before, after := twoReleases(t, LinuxX86_64)
	s := newDeltaServer(t, after)
	for name, o := range map[string]Options{
		"no digest": {Held: heldIn(t, before)}, "nothing to hold": {SHA256: sumOf(after)}, "nothing held": {SHA256: sumOf(after), Held: heldIn(t)},
	} {
		if got, b, err := fetch(t, s.URL+"/dir/bare", o); err != nil || !bytes.Equal(b, after) || s.deltas.Load() != 0 || got.DeltaNote != "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	moved := httptest.NewServer(http.RedirectHandler(s.URL+"/dir/bare", http.StatusFound))
	defer moved.Close()
	if got, b, err := fetch(t, moved.URL+"/x", Options{Held: heldIn(t, before), SHA256: sumOf(after)}); err != nil || !bytes.Equal(b, after) || s.deltas.Load() != 0 || got.BytesHeld == 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestDeltaIsResumed goes on where an earlier run was cut: what came of the file is not lost, and the rest comes as a delta again.
func TestDeltaIsResumed(t *testing.T) {
	t.Parallel()
	before, after := twoReleases(t, LinuxX86_64)
	s := newDeltaServer(t, after)
	cache := t.TempDir()
	out := &stopsAt{after: len(after) / 2}
	a, err := resolve(s.URL+"/dir/bare", Options{Held: heldIn(t, before), Retry: quick, Platform: LinuxX86_64, SHA256: sumOf(after), CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Fetch(t.Context(), out); err == nil {
		t.Fatal("it was not cut")
	}
	got, b, err := fetch(t, s.URL+"/dir/bare", Options{Held: heldIn(t, before), SHA256: sumOf(after), CacheDir: cache})
	if err != nil || !bytes.Equal(b, after) || got.BytesResumed == 0 || got.BytesDelta == 0 || got.DeltaNote != "" || got.Restarts != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// stopsAt refuses what comes after so many bytes.
type stopsAt struct{ after int }

func (s *stopsAt) Write(p []byte) (int, error) {
	if s.after -= len(p); s.after < 0 {
		return 0, fmt.Errorf("the disk is full")
	}
	return len(p), nil
}

// FuzzDelta holds that nothing that a server sends as a delta makes more of a file than it has.
func FuzzDelta(f *testing.F) {
	before, after := twoReleases(f, LinuxX86_64)
	file := delta.NewFile(sumOf(after), bytes.NewReader(after))
	files := heldIn(f, before)()
	head := file.For(func(checksum multiversion.Checksum) bool { return files.Held[checksum] != nil })
	body, err := new(delta.Press).Make(f.Context(), file, head)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add(body[:len(body)/2])
	f.Add([]byte(`{"recipe":{"size":6118800,"segments":[{"size":6118800}]}}` + "\n(\xb5/\xfd\x04\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		d := &download{ctx: t.Context(), patience: newPatience(quick, false), total: int64(len(after)), held: files, opened: true}
		made, err := d.assembleDelta(bytes.NewReader(body))
		if err != nil {
			return
		}
		made.rest.body = io.NopCloser(nil)
		defer made.leaveRest()
		buffer := make([]byte, 64<<10)
		for offset := int64(0); offset < d.total; {
			in, next := made.at(offset, d.total)
			if in != nil {
				offset = min(next, in.End())
				continue
			}
			n, err := made.restAt(buffer[:min(int64(len(buffer)), next-offset)], offset)
			if offset += int64(n); n == 0 && err != nil {
				return
			}
		}
		if _, lacking := head.Recipe.Lacking(); made.rest.done > d.total || d.fetched > d.total+lacking+deltaSlack {
			t.Errorf("%d bytes were made of %d", made.rest.done, d.total)
		}
	})
}
