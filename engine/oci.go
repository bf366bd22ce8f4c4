package engine

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/tbctl/tbctl/fault"
)

// SchemeOCI is what names an artifact in a registry: oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:HEX].
const SchemeOCI = "oci://"

const (
	pathResolve = "/v1/oci/resolve"
	pathBlob    = "/v1/oci/blob"
	pathPush    = "/v1/oci/push"
	pathLocate  = "/v1/oci/locate"
)

// Why nothing is taken from a registry, or brought there. Of [ErrOCI] is also what was changed or damaged there.
var (
	ErrOCI          = fault.New(fault.Rejected, "not a release in a registry")
	ErrOCIReference = fault.New(fault.Usage, "not oci://HOST/REPOSITORY[:TAG][@sha256:HEX]")
	ErrOCIDigest    = fault.New(fault.Usage, "that is the digest of an executable, and after @ comes the one of a release, as it was pushed")
	ErrOCIMissing   = fault.New(fault.Failed, "the registry does not have it")
	ErrOCIDenied    = fault.New(fault.Failed, "the registry refuses: log in with docker login, or podman login")
	ErrOCILogin     = fault.New(fault.Failed, "docker's configuration cannot be used")
	ErrOCIAway      = fault.New(fault.Failed, "the registry does not answer")
	ErrOCIMoved     = fault.New(fault.Busy, "another push has changed the tag at the same moment")
)

// What hinders a connection with a registry or a TUF repository, besides that nothing answers.
var (
	ErrPlain     = fault.New(fault.Failed, "the server speaks http, without TLS")
	ErrAuthority = fault.New(fault.Failed, "no authority that is known here vouches for the server's certificate")
	ErrCAFile    = fault.New(fault.Failed, "the file of certificates cannot be used")
)

// Registry speaks with registries of OCI artifacts.
type Registry interface {
	// Resolve finds the executable of a platform. The digest of each step is compared with the one before.
	Resolve(ctx context.Context, ref Reference) (Resolved, error)
	// Blob opens the bytes of a blob from offset on. They are compared with nothing.
	Blob(ctx context.Context, ref Reference, blob Blob, offset int64) (io.ReadCloser, error)
	// Locate says where a client without credentials of its own reads a blob, and with which token, that is good for reading this repository
	// alone.
	Locate(ctx context.Context, ref Reference, blob Blob) (Located, error)
	// Push brings a file into a registry, as the executable of its platform.
	Push(ctx context.Context, push Push) (Pushed, error)
}

// Reference names an artifact in a registry, and how that is reached.
type Reference struct {
	Where     string `json:"where"`              // oci://…
	Platform  string `json:"platform,omitempty"` // such as x86_64-linux
	PlainHTTP bool   `json:"plain_http,omitempty"`
	CAFile    string `json:"ca_file,omitempty"` // certificates that are trusted besides the system's
}

// Blob is bytes in a registry.
type Blob struct {
	SHA256 string `json:"sha256"` // in hexadecimal digits
	Size   int64  `json:"size"`
}

// Located is where a blob is.
type Located struct {
	URL   string `json:"url"`
	Token string `json:"token,omitempty"` // sent as Bearer; "": none is needed
}

// ErrRepository says that a text does not name a repository that hosts may fetch from.
var ErrRepository = fault.New(fault.Usage, "not oci://HOST/REPOSITORY, with ?ca-file=FILE or ?plain-http=on where it needs that")

// ParseRepository reads oci://HOST/REPOSITORY[?SETTING&…]: without a tag, of which the settings are ca-file=FILE and plain-http=on. The error
// is [ErrRepository].
func ParseRepository(text string) (Reference, error) {
	where, query, _ := strings.Cut(text, "?")
	ref := Reference{Where: where}
	host, repository, _ := strings.Cut(strings.TrimPrefix(where, SchemeOCI), "/")
	settings, err := url.ParseQuery(query)
	if err != nil || !IsOCI(where) || host == "" || repository == "" || strings.ContainsAny(host, "@") || strings.ContainsAny(repository, ":@?#") {
		return ref, fmt.Errorf("%.200q: %w", text, ErrRepository)
	}
	for name, values := range settings {
		switch {
		case len(values) == 1 && name == "plain-http" && values[0] == "on":
			ref.PlainHTTP = true
		case len(values) == 1 && name == "ca-file" && filepath.IsAbs(values[0]):
			ref.CAFile = values[0]
		default:
			return ref, fmt.Errorf("%.200q: %w", text, ErrRepository)
		}
	}
	return ref, nil
}

// Resolved is what a reference means now.
type Resolved struct {
	Index    string `json:"index"`    // sha256:HEX of what the tag or digest names
	Manifest string `json:"manifest"` // sha256:HEX of the platform's
	Pinned   bool   `json:"pinned"`   // the reference has a digest
	Place    string `json:"place"`    // oci://HOST/REPOSITORY@sha256:HEX
	Version  string `json:"version"`  // the release that it was pushed as; "": it does not say
	Blob     Blob   `json:"blob"`

	Signature string `json:"signature,omitempty"` // a minisign signature of the executable that was pushed with it; "": none
}

// SignatureSizeMax is the most bytes of a signature in a registry.
const SignatureSizeMax = 16 << 10

// Push is a file that is brought into a registry.
type Push struct {
	Reference

	Path     string `json:"path"` // of the file, on this machine
	Blob     Blob   `json:"blob"`
	Version  string `json:"version"`
	Source   string `json:"source,omitempty"`
	Created  string `json:"created"`  // RFC 3339
	Receipts []byte `json:"receipts"` // JSON

	Signature string `json:"signature,omitempty"` // a minisign signature of the executable; "": none
}

// Pushed says where it is.
type Pushed struct {
	Index    string `json:"index"`    // sha256:HEX of the list of platforms
	Manifest string `json:"manifest"` // sha256:HEX of the platform's
	Place    string `json:"place"`    // oci://HOST/REPOSITORY@sha256:HEX of the list
	Already  bool   `json:"already"`  // the file was there

	Before        string `json:"before,omitempty"`         // sha256:HEX of what the tag named before; "": nothing, or the same
	BeforeVersion string `json:"before_version,omitempty"` // the release that it was pushed as
}

type blobRequest struct {
	Reference Reference `json:"reference"`
	Blob      Blob      `json:"blob"`
	Offset    int64     `json:"offset"`
}

// Resolve finds the executable of a platform.
func (e *Engine) Resolve(ctx context.Context, ref Reference) (found Resolved, err error) {
	return found, e.ask(ctx, pathResolve, ref, &found)
}

// Push brings a file into a registry.
func (e *Engine) Push(ctx context.Context, push Push) (pushed Pushed, err error) {
	return pushed, e.ask(ctx, pathPush, push, &pushed)
}

// Locate says where a client without credentials reads a blob.
func (e *Engine) Locate(ctx context.Context, ref Reference, blob Blob) (found Located, err error) {
	return found, e.ask(ctx, pathLocate, blobRequest{Reference: ref, Blob: blob}, &found)
}

// openBlob opens a blob from offset on.
func (e *Engine) openBlob(ctx context.Context, ref Reference, blob Blob, offset int64) (io.ReadCloser, error) {
	response, err := e.send(ctx, pathBlob, blobRequest{ref, blob, offset})
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		return nil, e.ended(ctx, readAnswer(response, nil))
	}
	return response.Body, nil
}

// IsOCI says that a text names an artifact in a registry.
func IsOCI(text string) bool { return strings.HasPrefix(text, SchemeOCI) }

// registry answers what is asked of registries.
func (s *Session) registry(mux *http.ServeMux) {
	if s.Registry == nil {
		return
	}
	mux.HandleFunc("POST "+pathResolve, func(w http.ResponseWriter, r *http.Request) {
		var question Reference
		if read(w, r, &question) {
			found, err := s.Registry.Resolve(r.Context(), question)
			reply(w, found, err)
		}
	})
	mux.HandleFunc("POST "+pathPush, func(w http.ResponseWriter, r *http.Request) {
		var question Push
		if read(w, r, &question) {
			pushed, err := s.Registry.Push(r.Context(), question)
			reply(w, pushed, err)
		}
	})
	mux.HandleFunc("POST "+pathLocate, func(w http.ResponseWriter, r *http.Request) {
		var question blobRequest
		if read(w, r, &question) {
			found, err := s.Registry.Locate(r.Context(), question.Reference, question.Blob)
			reply(w, found, err)
		}
	})
	mux.HandleFunc("POST "+pathBlob, func(w http.ResponseWriter, r *http.Request) {
		var question blobRequest
		if !read(w, r, &question) {
			return
		}
		from, err := s.Registry.Blob(r.Context(), question.Reference, question.Blob, question.Offset)
		if err != nil {
			reply(w, nil, err)
			return
		}
		defer from.Close()
		w.Header().Set("Content-Length", fmt.Sprint(question.Blob.Size-question.Offset))
		if _, err := io.CopyN(w, from, question.Blob.Size-question.Offset); err != nil {
			panic(http.ErrAbortHandler) // the other end sees that it is not whole
		}
	})
}
