package release

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestSignatureAway does not take a signature, or a list where a digest is required, for one that is not there
// only because the server cannot answer now. Nothing is fetched, and every piece of evidence has a status.
func TestSignatureAway(t *testing.T) {
	t.Parallel()
	zip := zipped(t, program(10_000, 1))
	public, _ := keys(t)
	const beside = "/m/0.17.8/tigerbeetle-x86_64-linux.zip"
	broken := &file{status: slices.Repeat([]int{http.StatusServiceUnavailable}, 20)}
	forbidden := &file{status: slices.Repeat([]int{http.StatusForbidden}, 20)}
	sums := &file{data: []byte(sumOf(zip) + "  tigerbeetle-x86_64-linux.zip\n")}
	for name, tc := range map[string]struct {
		o         Options
		sums, sig *file
		later     bool
	}{
		"signature":             {Options{PublicKey: public}, sums, broken, true},
		"signature, no list":    {Options{PublicKey: public}, nil, broken, true},
		"signature forbidden":   {Options{PublicKey: public}, sums, forbidden, true},
		"no signature":          {Options{PublicKey: public}, sums, nil, false},
		"no signature, no list": {Options{PublicKey: public}, broken, nil, false},
		"list":                  {Options{Require: RequireDigest}, broken, nil, true},
		"no list":               {Options{Require: RequireDigest}, nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]*file{beside: {data: zip}}
			if tc.sums != nil {
				files["/m/0.17.8/SHA256SUMS"] = &file{data: tc.sums.data, status: slices.Clone(tc.sums.status)}
			}
			if tc.sig != nil {
				files[beside+".minisig"] = &file{status: slices.Clone(tc.sig.status)}
			}
			s := newServer(t, files)
			o := tc.o
			o.Mirror = s.URL + "/m"
			f, b, err := fetch(t, "0.17.8", o)
			var later *UnavailableError
			var blamed *ArtifactError
			if errors.As(err, &later) != tc.later || errors.As(err, &blamed) == tc.later {
				t.Fatalf("%v", err)
			}
			if len(b) > 0 || slices.Contains(s.paths(), "GET "+beside) {
				t.Errorf("%d bytes, %v", len(b), s.paths())
			}
			for _, e := range f.Evidence {
				if e.Status == "" || e.Detail == "" || !strings.Contains(err.Error(), string(e.Kind)+" "+string(e.Status)+": "+e.Detail) {
					t.Errorf("%+v in %v", e, err)
				}
			}
		})
	}
}

// TestOneRound calls a server that does not answer as often as one request does, and not again for each file.
func TestOneRound(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	closed := listener.Addr().String()
	listener.Close()
	public, _ := keys(t)
	waits := 0
	o := Options{Retry: quick, Progress: func(p Progress) { waits++ }}
	_, _, err = fetch(t, "http://"+closed+"/x.zip", o)
	var transfer *TransferError
	if !errors.As(err, &transfer) || transfer.Attempts != unreachedAttempts || waits != unreachedAttempts-1 {
		t.Errorf("%d waits, %v", waits, err)
	}
	o.PublicKey, waits = public, 0
	var later *UnavailableError
	if _, _, err = fetch(t, "http://"+closed+"/x.zip", o); !errors.As(err, &later) || waits != unreachedAttempts-1 {
		t.Errorf("%d waits, %v", waits, err)
	}
}

// TestOneRoundOfAnswers asks once for the asset after a round in which the server could not answer, and as often
// as ever when its bytes have begun to come.
func TestOneRoundOfAnswers(t *testing.T) {
	t.Parallel()
	executable := program(300_000, 1)
	zip := zipped(t, executable)
	failing := func() *file { return &file{status: slices.Repeat([]int{503}, 30)} }
	s := newServer(t, map[string]*file{"/SHA256SUMS": failing(), "/x.zip": failing()})
	_, _, err := fetch(t, s.URL+"/x.zip", Options{})
	var transfer *TransferError
	if !errors.As(err, &transfer) || transfer.Attempts != 1 || len(s.paths()) != 8 {
		t.Errorf("%v, %v", s.paths(), err)
	}
	s = newServer(t, map[string]*file{"/SHA256SUMS": failing(), "/x.zip": {data: zip, etag: `"1"`, cuts: []int{1000, 2000, 3000}}})
	f, b, err := fetch(t, s.URL+"/x.zip", Options{})
	if err != nil || !bytes.Equal(b, executable) || f.Attempts != 4 {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestSilenceIsOfOneServer fetches from a server whose list redirects to one that does not answer.
func TestSilenceIsOfOneServer(t *testing.T) {
	t.Parallel()
	executable := program(10_000, 1)
	zip := zipped(t, executable)
	s := newServer(t, map[string]*file{"/x.zip": {data: zip},
		"/SHA256SUMS": {status: slices.Repeat([]int{302}, 9), header: http.Header{"Location": {"http://127.0.0.1:1/SHA256SUMS"}}}})
	f, b, err := fetch(t, s.URL+"/x.zip", Options{})
	if err != nil || !bytes.Equal(b, executable) || f.Evidence[0].Status != StatusNotChecked {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestCredentials tells a wrong password from a missing one.
func TestCredentials(t *testing.T) {
	t.Parallel()
	s := httpServer(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusUnauthorized) })
	for at, want := range map[string]string{"": "it wants credentials", "user:hunter2@": "does not take the credentials"} {
		_, _, err := fetch(t, strings.Replace(s.URL, "://", "://"+at, 1)+"/x.zip", Options{})
		var answer *HTTPError
		if !errors.As(err, &answer) || answer.Refused != (at != "") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", at, err)
		}
	}
	for text, want := range map[string]string{"http://proxy:3128": "the proxy wants credentials", "http://u:p@proxy:3128": "the proxy does not take the credentials"} {
		proxy, err := url.Parse(text)
		must(t, err)
		err = checkProxy(t.Context(), proxy, nil, &http.Response{StatusCode: http.StatusProxyAuthRequired})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestProxyHasNoFiles does not take a proxy's 404 for a file that the server does not have.
func TestProxyHasNoFiles(t *testing.T) {
	t.Parallel()
	proxy := &url.URL{Scheme: "http", Host: "proxy:3128"}
	for _, status := range []int{http.StatusNotFound, http.StatusGone} {
		err := checkProxy(t.Context(), proxy, nil, &http.Response{StatusCode: status})
		if err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("%d: %v", status, err)
		}
	}
}
