package remote

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
)

// hostIn is a host whose target and store are in a directory.
func hostIn(dir string) *Host {
	return &Host{
		Installer: &install.Installer{FS: vfs.OS(), Command: "tbctl host"}, Targets: []string{filepath.Join(dir, "tigerbeetle")}, Version: "test",
		Store: depot.Open(vfs.OS(), filepath.Join(dir, "store")), CopyFrom: []string{"127.0.0.1:*"},
	}
}

// receiver is a host in this process, which is asked as over a session.
type receiver struct {
	*Host

	bodies [][]byte // that came
	answer func(DeltaAnswer, error) (DeltaAnswer, error)
}

func (r *receiver) target() string { return r.Targets[0] }

func (r *receiver) Held(_ context.Context, target string) (HeldAnswer, error) {
	var answer HeldAnswer
	return answer, r.ask(http.MethodGet, pathHeld+"?target="+url.QueryEscape(target), nil, &answer)
}

func (r *receiver) PutDelta(_ context.Context, target, digest string, body []byte) (DeltaAnswer, error) {
	r.bodies = append(r.bodies, body)
	var answer DeltaAnswer
	err := r.ask(http.MethodPut, pathPut+digest+suffixDelta+"?target="+url.QueryEscape(target), body, &answer)
	if r.answer != nil {
		return r.answer(answer, err)
	}
	return answer, err
}

func (r *receiver) ask(method, path string, body []byte, answer any) error {
	recorder := httptest.NewRecorder()
	r.Handler().ServeHTTP(recorder, httptest.NewRequest(method, path, bytes.NewReader(body)))
	if recorder.Code == http.StatusOK {
		return json.Unmarshal(recorder.Body.Bytes(), answer)
	}
	failed := &AnswerError{Host: "test"}
	return errors.Join(json.Unmarshal(recorder.Body.Bytes(), &failed.Answer), failed)
}

// asked asks the handler for what is refused.
func (r *receiver) asked(method, path string, body []byte) (int, ErrorAnswer) {
	return place{Host: r.Host}.asked(method, path, body)
}

// binaries are a release, the one before it, and the one before that, of small executables.
func binaries(t testing.TB) (two, one, next []byte) {
	two = testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.6"), Past: testbin.PastOf("0.17.4", "0.17.5")})
	one = testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.7"), From: two})
	return two, one, testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.8"), From: one})
}

// newReceiver is a host that has this file installed, nil: none.
func newReceiver(t testing.TB, installed []byte) *receiver {
	t.Helper()
	r := &receiver{Host: hostIn(t.TempDir())}
	t.Cleanup(func() { r.Close() })
	if installed != nil {
		testbin.WriteFile(t, r.target(), installed)
	}
	return r
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func ship(t testing.TB, data []byte, kept *delta.Kept) *Shipment {
	t.Helper()
	s, err := Ship(digestOf(data), bytes.NewReader(data), kept)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// has requires that the store has this file, and nothing else but it.
func (r *receiver) has(t *testing.T, want []byte) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(filepath.Dir(r.Store.Path("x")), "*"))
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return filepath.Base(name) == ".lock" })
	if want == nil {
		if len(names) > 0 {
			t.Errorf("in the store is %q", names)
		}
		return
	}
	got, err := os.ReadFile(r.Store.Path(digestOf(want)))
	if err != nil || !bytes.Equal(got, want) || len(names) != 1 {
		t.Errorf("the store does not have the file alone, but %q: %v", names, err)
	}
}

// TestSendSizes holds how much goes over the wire to a host that is one release behind, and two, by builds that
// differ as releases do, and through a session.
func TestSendSizes(t *testing.T) {
	t.Parallel()
	builds := testbin.Successive(t, 3)
	past := testbin.PastOf("0.17.3", "0.17.4", "0.17.5")
	for number := range past {
		past[number].Executable = bytes.Clone(builds[0])
		past[number].Executable[len(builds[0])/2] ^= byte(number + 1)
	}
	two := testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.6"), Executable: builds[0], Past: past})
	one := testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.7"), Executable: builds[1], From: two})
	next := testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.8"), Executable: builds[2], From: one})
	sendSizes(t, two, one, next, 0.10, 0.20)
}

// TestSendReleases is [TestSendSizes] on real releases, where they are at hand.
func TestSendReleases(t *testing.T) {
	t.Parallel()
	names := filepath.SplitList(os.Getenv("DELTA_RELEASES"))
	if len(names) != 3 {
		t.Skip("skipped: DELTA_RELEASES names no three releases that follow each other, the oldest first, with colons between them")
	}
	var releases [3][]byte
	for index, name := range names {
		var err error
		if releases[index], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	sendSizes(t, releases[0], releases[1], releases[2], 0.10, 0.20)
}

// sendSizes sends a release to a host that is one behind and to one that is two behind, and requires that no more comes over than these
// parts of the deflated file.
func sendSizes(t *testing.T, two, one, next []byte, oneMost, twoMost float64) {
	t.Helper()
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.DefaultCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(next); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	shipment := ship(t, next, nil)
	for _, tc := range []struct {
		behind    string
		installed []byte
		most      float64 // of the deflated file
	}{
		{"one release", one, oneMost}, {"two releases", two, twoMost},
	} {
		dir := t.TempDir()
		testbin.WriteFile(t, filepath.Join(dir, "tigerbeetle"), tc.installed)
		session, err := testDialer().Dial(t.Context(), "place:"+dir)
		if err != nil {
			t.Fatal(err)
		}
		sent, err := shipment.Send(t.Context(), session, "")
		if err != nil {
			t.Fatalf("%s behind: %v", tc.behind, err)
		}
		part := float64(sent.Sent) / float64(deflated.Len())
		t.Logf("%s behind: %d bytes sent of a file of %d, deflated %d: %.1f %%; %d were there", tc.behind, sent.Sent, sent.Size, deflated.Len(), 100*part, sent.There)
		if part > tc.most || sent.How != HowDelta || len(sent.LeftOut) > 0 || sent.Size != int64(len(next)) {
			t.Errorf("%s behind: %+v", tc.behind, sent)
		}
		stored, err := session.Store(t.Context())
		if err != nil || len(stored) != 1 || stored[0].SHA256 != digestOf(next) {
			t.Errorf("%s behind: in the store is %+v: %v", tc.behind, stored, err)
		}
		session.Close()
		(&receiver{Host: hostIn(dir)}).has(t, next)
	}
}

// TestSendBack sends an older release to a host that has it in the pack of the installed one, one to a host that has what it needs
// in its store alone, and one to a host that has nothing.
func TestSendBack(t *testing.T) {
	t.Parallel()
	two, one, next := binaries(t)
	r := newReceiver(t, next)
	sent, err := ship(t, one, nil).Send(t.Context(), r, "")
	if err != nil || sent.How != HowDelta || sent.Sent*20 > sent.Size {
		t.Errorf("back: %+v, %v", sent, err)
	}
	r.has(t, one)
	r = newReceiver(t, nil)
	if status, _ := r.asked(http.MethodPut, pathPut+digestOf(one), one); status != http.StatusOK {
		t.Fatal(status)
	}
	if sent, err = ship(t, next, nil).Send(t.Context(), r, ""); err != nil || sent.How != HowDelta || sent.There == 0 {
		t.Errorf("from the store: %+v, %v", sent, err)
	}
	if sent, err = ship(t, one, nil).Send(t.Context(), newReceiver(t, nil), ""); err != nil || sent.How != HowWhole || sent.There != 0 || sent.Sent >= sent.Size {
		t.Errorf("to a host with nothing: %+v, %v", sent, err)
	}
	held, err := r.Held(t.Context(), "")
	if err != nil || held.Executables[0].Release != testbin.Release("0.17.8") || !slices.IsSortedFunc(held.Executables, func(x, y host.HeldExecutable) int { return int(y.Release) - int(x.Release) }) {
		t.Errorf("%+v, %v", held, err)
	}
	testbin.WriteFile(t, r.target()+"-old", two)
	testbin.WriteFile(t, r.target(), []byte("no binary"))
	if held, err = r.Held(t.Context(), ""); err != nil || len(held.LeftOut) != 1 || held.LeftOut[0].Path != r.target() {
		t.Errorf("%+v, %v", held, err)
	}
}

// spoil changes a byte of an executable in a file: of the past one of this index, or for -1 of the current one.
func spoil(t *testing.T, data []byte, index int) []byte {
	t.Helper()
	data = bytes.Clone(data)
	image := testbin.Load(t, data).Images[0]
	at := int64(1 << 16) // in the code of the current one
	if index >= 0 {
		at = image.PastExtent(index).Offset + int64(image.Header.Past[index].Size)/2
	}
	data[at] ^= 1
	return data
}

// TestDamagedSeeds holds that an executable that is damaged on the host is named and left out, and that the artifact is whole there
// in the end.
func TestDamagedSeeds(t *testing.T) {
	t.Parallel()
	_, one, next := binaries(t)
	for name, tc := range map[string]struct {
		damaged []int
		left    int
		how     How
	}{
		"a past one":        {[]int{0}, 1, HowDelta},
		"the dictionary":    {[]int{-1}, 1, HowDelta},
		"the last and one":  {[]int{-1, 1}, 2, HowDelta},
		"every one of them": {[]int{-1, 0, 1, 2}, 4, HowWhole},
	} {
		installed := one
		for _, index := range tc.damaged {
			installed = spoil(t, installed, index)
		}
		r := newReceiver(t, installed)
		sent, err := ship(t, next, nil).Send(t.Context(), r, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r.has(t, next)
		if sent.How != tc.how || len(sent.LeftOut) != tc.left {
			t.Errorf("%s: %+v", name, sent)
		}
		total := 0
		for _, body := range r.bodies {
			total += len(body)
		}
		if sent.Sent != int64(total) {
			t.Errorf("%s: %d bytes are said to be sent, and %d came", name, sent.Sent, total)
		}
		for _, left := range sent.LeftOut {
			if left.Path != r.target() || !strings.Contains(left.Why, r.target()) || !strings.Contains(left.Why, delta.ErrDamaged.Error()) {
				t.Errorf("%s: %+v", name, left)
			}
		}
	}
}

// TestLyingHost holds that a host that lies about what it has, or stored something else, is not believed and ends the attempt.
func TestLyingHost(t *testing.T) {
	t.Parallel()
	_, one, next := binaries(t)
	for name, answer := range map[string]func(DeltaAnswer, error) (DeltaAnswer, error){
		"it stored another": func(said DeltaAnswer, err error) (DeltaAnswer, error) {
			said.Artifact.SHA256 = digestOf(one)
			return said, err
		},
		"always another seed": func(DeltaAnswer, error) (DeltaAnswer, error) {
			return DeltaAnswer{}, &AnswerError{Answer: ErrorAnswer{Class: fault.Failed, Message: "damaged", Seed: new(multiversion.Checksum)}}
		},
		"it always refuses": func(DeltaAnswer, error) (DeltaAnswer, error) {
			return DeltaAnswer{}, &AnswerError{Answer: ErrorAnswer{Class: fault.Rejected, Message: "no"}}
		},
	} {
		r := newReceiver(t, one)
		r.answer = answer
		if sent, err := ship(t, next, nil).Send(t.Context(), r, ""); err == nil || len(r.bodies) > 2 {
			t.Errorf("%s: %+v after %d tries", name, sent, len(r.bodies))
		}
	}
}

// TestOwnDamage holds that a file of the sender's that has changed is not stored anywhere, whoever notices.
func TestOwnDamage(t *testing.T) {
	t.Parallel()
	_, one, next := binaries(t)
	for index, tries := range map[int]int{3: 0, 0: 1, -1: 2} { // the dictionary; what is not sent; what is sent
		r := newReceiver(t, one)
		damaged := spoil(t, next, index)
		shipment, err := Ship(digestOf(next), bytes.NewReader(damaged), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = shipment.Send(t.Context(), r, "")
		if index == 0 { // the host has it as it was
			if err != nil {
				t.Errorf("%d: %v", index, err)
			}
			r.has(t, next)
		} else if fault.Of(err) != fault.Rejected {
			t.Errorf("%d: %v", index, err)
		} else {
			r.has(t, nil)
		}
		if len(r.bodies) != tries {
			t.Errorf("%d: %d tries, want %d", index, len(r.bodies), tries)
		}
	}
}

// deltaBody is the body of a request.
func deltaBody(t testing.TB, request delta.Head, dictionary, rest []byte) []byte {
	t.Helper()
	line, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.NewBuffer(append(line, '\n'))
	w, err := delta.NewWriter(body, dictionary)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(rest); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return body.Bytes()
}

// TestHostileDelta holds that what cannot be put together is refused for what it is, and leaves nothing in the store.
func TestHostileDelta(t *testing.T) {
	t.Parallel()
	_, one, content := binaries(t)
	r := newReceiver(t, one)
	other := bytes.Clone(content)
	other[len(other)-1] ^= 1
	digest := digestOf(content)
	literal := func(size int) delta.Head {
		return delta.Head{Recipe: delta.Recipe{Size: int64(size), Segments: []delta.Segment{{Size: int64(size)}}}}
	}
	good := deltaBody(t, literal(len(content)), nil, content)
	foreign := multiversion.ChecksumOf([]byte("elsewhere"))
	unknown := literal(len(content))
	unknown.Dictionary = &foreign
	seed := delta.Head{Recipe: delta.Recipe{Size: 100, Segments: []delta.Segment{{Size: 100, Executable: &foreign}}}}
	many := literal(1)
	many.Recipe.Segments = slices.Repeat(many.Recipe.Segments, 4000)
	for name, tc := range map[string]struct {
		digest string
		body   []byte
		class  fault.Class
		said   string
	}{
		"no digest":                {"xyz", good, fault.Usage, "is not a SHA-256"},
		"nothing":                  {digest, nil, fault.Failed, "read the recipe"},
		"no end of the line":       {digest, bytes.Repeat([]byte("{"), 1<<20), fault.Usage, "more than"},
		"not JSON":                 {digest, []byte("hello\n"), fault.Usage, "not a recipe"},
		"no recipe":                {digest, []byte("{}\n"), fault.Usage, "not a recipe"},
		"too many segments":        {digest, deltaBody(t, many, nil, nil), fault.Usage, "not a recipe"},
		"larger than any":          {digest, deltaBody(t, literal(multiversion.SizeMax+1), nil, nil), fault.Usage, "not a recipe"},
		"nothing after it":         {digest, good[:bytes.IndexByte(good, '\n')+1], fault.Rejected, "put together"},
		"it breaks off":            {digest, good[:len(good)-6], fault.Rejected, "put together"},
		"noise":                    {digest, append(bytes.Clone(good[:bytes.IndexByte(good, '\n')+1]), "not compressed"...), fault.Rejected, "put together"},
		"less than it lacks":       {digest, deltaBody(t, literal(len(content)+1), nil, content), fault.Rejected, "put together"},
		"more than it lacks":       {digest, deltaBody(t, literal(len(content)-1), nil, content), fault.Rejected, "more came"},
		"a bomb":                   {digest, deltaBody(t, literal(10), nil, make([]byte, 64<<20)), fault.Rejected, "more came"},
		"another file":             {digest, deltaBody(t, literal(len(content)), nil, other), fault.Rejected, "another SHA-256"},
		"no binary":                {digestOf([]byte("junk")), deltaBody(t, literal(4), nil, []byte("junk")), fault.Rejected, "nothing was stored"},
		"a binary that is cut":     {digestOf(content[:len(content)-9]), deltaBody(t, literal(len(content)-9), nil, content[:len(content)-9]), fault.Rejected, "nothing was stored"},
		"a dictionary it has not":  {digest, deltaBody(t, unknown, nil, content), fault.Failed, "not here"},
		"an executable it has not": {digest, deltaBody(t, seed, nil, nil), fault.Failed, "not here"},
	} {
		status, answer := r.asked(http.MethodPut, pathPut+tc.digest+suffixDelta, tc.body)
		if status == http.StatusOK || answer.Class != tc.class || !strings.Contains(answer.Message, tc.said) {
			t.Errorf("%s: %d, %+v", name, status, answer)
		}
		if (answer.Seed != nil) != strings.HasSuffix(name, "it has not") {
			t.Errorf("%s: %+v", name, answer)
		}
		r.has(t, nil)
	}
	for _, target := range []string{"/etc/passwd", r.target() + "/"} {
		if status, answer := r.asked(http.MethodGet, pathHeld+"?target="+url.QueryEscape(target), nil); status != http.StatusBadRequest || answer.Class != fault.Usage {
			t.Errorf("%s: %d, %+v", target, status, answer)
		}
	}
	if status, answer := r.asked(http.MethodPut, pathPut+digest+suffixDelta, good); status != http.StatusOK {
		t.Errorf("%d, %+v", status, answer)
	}
	r.has(t, content)
}

// TestSendIsCancelled leaves nothing in the store of a host.
func TestSendIsCancelled(t *testing.T) {
	t.Parallel()
	_, one, next := binaries(t)
	dir := t.TempDir()
	testbin.WriteFile(t, filepath.Join(dir, "tigerbeetle"), one)
	session, err := testDialer().Dial(t.Context(), "place:"+dir)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	shipment := ship(t, next, nil)
	body, err := shipment.press.Make(t.Context(), shipment.file, shipment.head(nil))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, pathPut+digestOf(next)+suffixDelta, io.MultiReader(bytes.NewReader(body[:len(body)/2]), stopping{ctx, cancel}))
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = int64(len(body))
	if err := session.send(request, &DeltaAnswer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := session.Held(t.Context(), ""); err != nil { // its turn comes when the one before has ended
		t.Error(err)
	}
	(&receiver{Host: hostIn(dir)}).has(t, nil)
}

// stopping is a reader that stops what reads it, and yields nothing.
type stopping struct {
	ctx  context.Context
	stop context.CancelFunc
}

func (s stopping) Read([]byte) (int, error) {
	s.stop()
	return 0, s.ctx.Err()
}

// TestMadeOnce holds that what hosts with the same executables are sent is made once, also by the next run.
func TestMadeOnce(t *testing.T) {
	t.Parallel()
	_, one, next := binaries(t)
	kept := &delta.Kept{FS: vfs.OS(), Dir: filepath.Join(t.TempDir(), "deltas")}
	shipment := ship(t, next, kept)
	var hosts sync.WaitGroup
	for range 3 {
		r := newReceiver(t, one)
		hosts.Go(func() {
			if sent, err := shipment.Send(t.Context(), r, ""); err != nil || sent.How != HowDelta {
				t.Errorf("%+v, %v", sent, err)
			}
		})
	}
	hosts.Wait()
	names := keptIn(t, kept)
	if len(names) != 1 {
		t.Fatalf("%q is kept", names)
	}
	// What is kept is sent: it shows by one of another content that is whole.
	path := filepath.Join(kept.Dir, names[0])
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := newReceiver(t, one)
	if _, err := ship(t, next, kept).Send(t.Context(), r, ""); err != nil || len(r.bodies) != 1 || !bytes.Equal(r.bodies[0], data[:len(data)-sha256.Size]) {
		t.Errorf("%v", err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	r = newReceiver(t, one)
	if sent, err := ship(t, next, kept).Send(t.Context(), r, ""); err != nil || len(r.bodies) != 1 || sent.How != HowDelta {
		t.Errorf("of a damaged one: %+v, %v", sent, err)
	}
	r.has(t, next)
}

func keptIn(t *testing.T, kept *delta.Kept) []string {
	t.Helper()
	entries, err := os.ReadDir(kept.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// FuzzDelta holds that no request stores a file of another SHA-256, or takes more than it may.
func FuzzDelta(f *testing.F) {
	content := []byte("a whole artifact")
	literal := delta.Head{Recipe: delta.Recipe{Size: int64(len(content)), Segments: []delta.Segment{{Size: int64(len(content))}}}}
	f.Add(deltaBody(f, literal, nil, content))
	f.Add([]byte(`{"recipe":{"size":3,"segments":[{"size":3,"executable":"00000000000000000000000000000000"}]}}` + "\n"))
	held := delta.Held{multiversion.ChecksumOf(content): bytes.NewReader(content)}
	f.Fuzz(func(t *testing.T, body []byte) {
		request, rest, err := delta.ReadHead(bytes.NewReader(body))
		if err != nil {
			return
		}
		if request.Recipe.Size > 1<<20 {
			return
		}
		var made bytes.Buffer
		err = request.Rebuild(t.Context(), &made, held, rest)
		if size := int64(made.Len()); size > request.Recipe.Size || err == nil && size != request.Recipe.Size {
			t.Errorf("%d bytes of %d: %v", size, request.Recipe.Size, err)
		}
	})
}
