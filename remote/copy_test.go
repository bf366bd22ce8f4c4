package remote

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot/serve"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/multiversion"
)

// giver is a host that has an artifact in its store and lets others read it.
func newGiver(t *testing.T, artifact []byte) (*receiver, DepotAnswer) {
	t.Helper()
	r := newReceiver(t, nil)
	r.Depot = "127.0.0.1:0"
	if status, answer := r.asked(http.MethodPut, pathPut+digestOf(artifact), artifact); status != http.StatusOK {
		t.Fatalf("%+v", answer)
	}
	asking := []byte(`{"artifact":"` + digestOf(artifact) + `"}`)
	var opened, again DepotAnswer
	for _, answer := range []*DepotAnswer{&opened, &again} {
		if err := r.ask(http.MethodPost, pathDepot, asking, answer); err != nil {
			t.Fatal(err)
		}
	}
	if opened != again || len(opened.Token) != 64 {
		t.Errorf("%+v, and then %+v", opened, again)
	}
	return r, opened
}

func (r *receiver) copies(request CopyRequest) (answer CopyAnswer, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return answer, err
	}
	return answer, r.ask(http.MethodPost, pathCopy, body, &answer)
}

func (d DepotAnswer) of(artifact []byte) CopyRequest {
	return CopyRequest{Artifact: digestOf(artifact), Size: int64(len(artifact)), From: d.Address, Token: d.Token, Certificate: d.Certificate}
}

// TestCopy copies to a host that is one release behind, to one that has nothing, to one whose file is damaged, and to one that has it.
func TestCopy(t *testing.T) {
	t.Parallel()
	_, one, next := binaries(t)
	giver, opened := newGiver(t, next)
	for name, tc := range map[string]struct {
		installed []byte
		how       How
		left      int
		most      int64 // bytes
	}{
		"one behind": {one, HowDelta, 0, int64(len(next)) / 100}, "nothing": {nil, HowWhole, 0, int64(len(next)) * 9 / 10},
		"damaged": {spoil(t, one, 0), HowDelta, 1, int64(len(next)) * 9 / 10},
	} {
		r := newReceiver(t, tc.installed)
		answer, err := r.copies(opened.of(next))
		if err != nil || answer.How != tc.how || len(answer.LeftOut) != tc.left || answer.Came > tc.most || answer.Came == 0 || answer.From != opened.Address || answer.Artifact.SHA256 != digestOf(next) {
			t.Errorf("%s: %+v, %v", name, answer, err)
		}
		r.has(t, next)
		again, err := r.copies(opened.of(next))
		if err != nil || again.Came != 0 || again.There != int64(len(next)) || again.From != "" {
			t.Errorf("%s, again: %+v, %v", name, again, err)
		}
	}
	// What the giver has by other ways, and is no binary, is not taken.
	junk := []byte("no binary")
	writer, err := giver.Store.Create(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Write(junk); err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Commit(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	none := newReceiver(t, nil)
	var ofJunk DepotAnswer
	if err := giver.ask(http.MethodPost, pathDepot, []byte(`{"artifact":"`+digestOf(junk)+`"}`), &ofJunk); err != nil {
		t.Fatal(err)
	}
	if _, err := none.copies(ofJunk.of(junk)); fault.Of(err) != fault.Rejected || !strings.Contains(err.Error(), "nothing was stored") {
		t.Errorf("%v", err)
	}
	none.has(t, nil)
	// With the session the depot ends.
	giver.Close()
	r := newReceiver(t, one)
	_, err = r.copies(opened.of(next))
	if _, blamed := errors.AsType[*SourceError](err); !blamed || fault.Of(err) != fault.Failed || !strings.Contains(err.Error(), opened.Address) {
		t.Errorf("%v", err)
	}
	r.has(t, nil)
}

// TestDepotRefused holds that a host whose configuration does not name an address gives nothing, that an address that is taken is
// busy, and that a target that a run holds elsewhere lends nothing to others, but to that run.
func TestDepotRefused(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	if status, answer := r.asked(http.MethodPost, pathDepot, []byte("{}")); status != http.StatusConflict || answer.Class != fault.Refused || !strings.Contains(answer.Message, "depot = ") {
		t.Errorf("%d, %+v", status, answer)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	r.Depot = listener.Addr().String()
	asking := []byte(`{"artifact":"` + strings.Repeat("a", 64) + `"}`)
	if status, answer := r.asked(http.MethodPost, pathDepot, asking); status != http.StatusConflict || answer.Class != fault.Busy {
		t.Errorf("%d, %+v", status, answer)
	}
	r.Depot = "127.0.0.1:0"
	if status, answer := r.asked(http.MethodPost, pathDepot, []byte("{}")); status != http.StatusBadRequest || answer.Class != fault.Usage {
		t.Errorf("no artifact: %d, %+v", status, answer)
	}
	other := hostIn(filepath.Dir(r.target()))
	defer other.Close()
	fence := testFence()
	claim, err := json.Marshal(ClaimRequest{Fence: fence, Secret: secretOf(fence)})
	if err != nil {
		t.Fatal(err)
	}
	if status, answer := (&receiver{Host: other}).asked(http.MethodPost, pathClaim, claim); status != http.StatusOK {
		t.Fatalf("%d, %+v", status, answer)
	}
	if status, answer := r.asked(http.MethodPost, pathDepot, asking); status != http.StatusConflict || answer.Class != fault.Fenced || answer.Reason != fleet.ReasonHeld {
		t.Errorf("while a run has it: %d, %+v", status, answer)
	}
	if status, answer := r.asked(http.MethodPost, pathClaim, claim); status != http.StatusOK {
		t.Fatalf("%d, %+v", status, answer)
	}
	if status, answer := r.asked(http.MethodPost, pathDepot, asking); status != http.StatusOK {
		t.Errorf("the run itself: %d, %+v", status, answer)
	}
}

// TestDepotOfOne holds that the token that a host gives opens the artifact that was asked for, and nothing else of its store, and that another
// one that is asked for takes its place.
func TestDepotOfOne(t *testing.T) {
	t.Parallel()
	_, one, next := binaries(t)
	giver, opened := newGiver(t, next)
	if status, answer := giver.asked(http.MethodPut, pathPut+digestOf(one), one); status != http.StatusOK {
		t.Fatalf("%+v", answer)
	}
	get := func(opened DepotAnswer, path string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+opened.Address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+opened.Token)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // whose it is does not matter here
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	for path, want := range map[string]int{
		serve.PathDigest + digestOf(next): http.StatusOK, serve.PathDigest + digestOf(one): http.StatusNotFound, serve.PathDigest + digestOf(one) + serve.SuffixDelta + "?held=": http.StatusNotFound,
		serve.PathDigest: http.StatusNotFound, "/releases": http.StatusNotFound,
	} {
		if got := get(opened, path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	var other DepotAnswer
	if err := giver.ask(http.MethodPost, pathDepot, []byte(`{"artifact":"`+digestOf(one)+`"}`), &other); err != nil || other.Token == opened.Token {
		t.Fatalf("%+v, %v", other, err)
	}
	if got := get(other, serve.PathDigest+digestOf(one)); got != http.StatusOK {
		t.Errorf("the other one: %d", got)
	}
	if got := get(DepotAnswer{Address: other.Address, Token: opened.Token}, serve.PathDigest+digestOf(one)); got != http.StatusUnauthorized {
		t.Errorf("the other one by the first token: %d", got)
	}
}

// TestCopyRefused holds that a request that names no place, or no artifact, is refused before anything is connected to.
func TestCopyRefused(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	good := CopyRequest{Artifact: strings.Repeat("a", 64), Size: 1, From: "127.0.0.1:1", Token: "x", Certificate: strings.Repeat("b", 64)}
	for name, change := range map[string]func(*CopyRequest){
		"no digest":      func(c *CopyRequest) { c.Artifact = "../x" },
		"no size":        func(c *CopyRequest) { c.Size = 0 },
		"too large":      func(c *CopyRequest) { c.Size = multiversion.SizeMax + 1 },
		"no address":     func(c *CopyRequest) { c.From = "" },
		"no port":        func(c *CopyRequest) { c.From = "10.0.0.1" },
		"no host":        func(c *CopyRequest) { c.From = ":3443" },
		"port 0":         func(c *CopyRequest) { c.From = "10.0.0.1:0" },
		"a path":         func(c *CopyRequest) { c.From = "10.0.0.1:80/x" },
		"a user":         func(c *CopyRequest) { c.From = "a@10.0.0.1:80" },
		"a line":         func(c *CopyRequest) { c.Token = "x\r\nHost: y" },
		"no certificate": func(c *CopyRequest) { c.Certificate = "" },
		"another target": func(c *CopyRequest) { c.Target = "/etc/passwd" },
	} {
		request := good
		change(&request)
		_, err := r.copies(request)
		if fault.Of(err) != fault.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLyingDepot holds that whatever a depot answers, nothing of it is stored that is not the artifact, and that it is named as the one
// to blame.
func TestLyingDepot(t *testing.T) {
	t.Parallel()
	_, one, next := binaries(t)
	digest := digestOf(next)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another server was asked") }))
	defer elsewhere.Close()
	literal := delta.Head{Recipe: delta.Recipe{Size: int64(len(next)), Segments: []delta.Segment{{Size: int64(len(next))}}}}
	none := multiversion.ChecksumOf([]byte("elsewhere"))
	unknown := delta.Head{Recipe: delta.Recipe{Size: int64(len(next)), Segments: []delta.Segment{{Size: int64(len(next)), Executable: &none}}}}
	short := delta.Head{Recipe: delta.Recipe{Size: 3, Segments: []delta.Segment{{Size: 3}}}}
	bytesOf := func(data []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Write(data) }
	}
	other := spoil(t, next, -1)
	for name, tc := range map[string]struct {
		delta, whole http.HandlerFunc
	}{
		"not found":       {http.NotFound, http.NotFound},
		"elsewhere":       {http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP, http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP},
		"another file":    {bytesOf(deltaBody(t, literal, nil, other)), bytesOf(other)},
		"noise":           {bytesOf([]byte("noise\n")), bytesOf(next[1:])},
		"too little":      {bytesOf(deltaBody(t, literal, nil, next[:100])), bytesOf(next[:100])},
		"too much":        {bytesOf(deltaBody(t, literal, nil, append(bytes.Clone(next), 1))), bytesOf(append(bytes.Clone(next), 1))},
		"of another's":    {bytesOf(deltaBody(t, unknown, nil, nil)), http.NotFound},
		"of another size": {bytesOf(deltaBody(t, short, nil, []byte("abc"))), http.NotFound},
		"it breaks off": {bytesOf(deltaBody(t, literal, nil, next)[:1000]), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1")
			panic(http.ErrAbortHandler)
		}},
		"it breaks off too": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, http.NotFound},
		"a line for ever":   {func(w http.ResponseWriter, _ *http.Request) { io.CopyN(w, zeros{}, 1<<20) }, http.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			depot := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.Header.Get("Authorization") != "Bearer token" {
					t.Errorf("%s %s", r.Method, r.Header.Get("Authorization"))
				}
				switch r.URL.Path {
				case serve.PathDigest + digest + serve.SuffixDelta:
					tc.delta(w, r)
				case serve.PathDigest + digest:
					tc.whole(w, r)
				default:
					t.Errorf("%s is asked for", r.URL)
				}
			}))
			depot.Config.ErrorLog = silent()
			certificate, fingerprint, err := newCertificate()
			if err != nil {
				t.Fatal(err)
			}
			depot.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
			depot.StartTLS()
			defer depot.Close()
			r := newReceiver(t, one)
			opened := DepotAnswer{depot.Listener.Addr().String(), "token", fingerprint}
			_, err = r.copies(opened.of(next))
			if source, blamed := errors.AsType[*SourceError](err); !blamed || source.From != opened.Address || fault.Of(err) != fault.Failed {
				t.Errorf("%v", err)
			}
			r.has(t, nil)
			opened.Certificate = hex.EncodeToString(make([]byte, 32))
			if _, err = r.copies(opened.of(next)); err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestCopyFrom holds that a host connects to addresses that its own configuration allows and to no others, and that what is said of one where
// no depot is does not tell what is there.
func TestCopyFrom(t *testing.T) {
	t.Parallel()
	_, _, next := binaries(t)
	listen := func(serve func(net.Conn)) string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				serve(conn)
				conn.Close()
			}
		}()
		return listener.Addr().String()
	}
	touched := listen(func(net.Conn) { t.Error("it was connected to") })
	_, port, _ := net.SplitHostPort(touched)
	for name, tc := range map[string]struct {
		from  []string
		depot string
	}{
		"nothing": {nil, ""}, "another port": {nil, "127.0.0.1:1"}, "another address": {[]string{"127.0.0.2:" + port, "*:1", "127.0.0.1:1"}, "127.0.0.1:" + port},
	} {
		r := newReceiver(t, nil)
		r.CopyFrom, r.Depot = tc.from, tc.depot
		_, err := r.copies(DepotAnswer{Address: touched, Certificate: strings.Repeat("b", 64)}.of(next))
		if source, blamed := errors.AsType[*SourceError](err); !blamed || source.From != touched || !strings.Contains(err.Error(), "copy-from = ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, allowed := range []*Host{{Depot: "10.0.0.1:" + port}, {CopyFrom: []string{touched}}, {CopyFrom: []string{"*:" + port}}, {CopyFrom: []string{"127.0.0.1:*"}}} {
		if err := allowed.mayCopy(touched); err != nil {
			t.Errorf("%q, %q: %v", allowed.CopyFrom, allowed.Depot, err)
		}
	}
	closed := listen(func(net.Conn) {})
	plain := listen(func(conn net.Conn) { io.WriteString(conn, "220 mail.example.org ESMTP\r\n") })
	_, opened := newGiver(t, next)
	said := map[string][]string{}
	for what, address := range map[string]string{"nothing": "127.0.0.1:1", "it hangs up": closed, "not TLS": plain, "another depot": opened.Address} {
		_, err := newReceiver(t, nil).copies(DepotAnswer{Address: address, Token: opened.Token, Certificate: strings.Repeat("b", 64)}.of(next))
		if err == nil {
			t.Fatal(what)
		}
		text := strings.ReplaceAll(err.Error(), address, "ADDRESS")
		said[text] = append(said[text], what)
	}
	if len(said) != 1 {
		t.Errorf("they can be told from each other: %q", said)
	}
	for text, fits := range map[string]bool{
		"10.1.0.3:3443": true, "*:3443": true, "10.1.0.3:*": true, "*:*": true, "[::1]:3443": true, "tb3.eu:3443": true,
		"*": false, "10.1.0.*:3443": false, ":3443": false, "10.1.0.3": false, "10.1.0.3:0": false, "10.1.0.3:x": false, "": false,
	} {
		if err := CheckCopyFrom([]string{text}); (err == nil) != fits || err != nil && fault.Of(err) != fault.Usage {
			t.Errorf("%q: %v", text, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(data []byte) (int, error) { clear(data); return len(data), nil }

// TestCopyToken holds that a wrong token gets nothing.
func TestCopyToken(t *testing.T) {
	t.Parallel()
	_, one, next := binaries(t)
	_, opened := newGiver(t, next)
	opened.Token = strings.Repeat("0", 64)
	r := newReceiver(t, one)
	if _, err := r.copies(opened.of(next)); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("%v", err)
	}
	r.has(t, nil)
}

// TestCopyOwnFault holds that the depot is not blamed for a store that cannot be written.
func TestCopyOwnFault(t *testing.T) {
	t.Parallel()
	_, one, next := binaries(t)
	_, opened := newGiver(t, next)
	r := newReceiver(t, one)
	if err := os.WriteFile(filepath.Join(filepath.Dir(r.target()), "store"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := r.copies(opened.of(next))
	if _, blamed := errors.AsType[*SourceError](err); blamed || err == nil {
		t.Errorf("%v", err)
	}
}

// TestCopyThroughSessions copies from one host to another through both their sessions.
func TestCopyThroughSessions(t *testing.T) {
	t.Parallel()
	_, one, next := binaries(t)
	_, opened := newGiver(t, next)
	r := newReceiver(t, one)
	session, err := testDialer().Dial(t.Context(), "place:"+filepath.Dir(r.target()))
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	request := opened.of(next)
	answer, err := session.Copy(t.Context(), request)
	if err != nil || answer.How != HowDelta {
		t.Errorf("%+v, %v", answer, err)
	}
	r.has(t, next)
	request.Artifact, request.Token = digestOf(one), "x"
	_, err = session.Copy(t.Context(), request)
	if source, blamed := errors.AsType[*SourceError](err); !blamed || source.From != request.From {
		t.Errorf("%v", err)
	}
	if _, err := session.OpenDepot(t.Context(), DepotRequest{}); fault.Of(err) != fault.Refused {
		t.Errorf("%v", err)
	}
}
