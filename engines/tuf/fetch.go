package tuf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/engines/internal/authority"
)

// fileTimeMax is how long a file of metadata may take.
const fileTimeMax = 60 * time.Second

// fetcher fetches the metadata of a repository for go-tuf, and remembers it.
type fetcher struct {
	ctx    context.Context
	client *http.Client
	agent  string
	last   string            // the name of the file that was asked for last
	got    map[string][]byte // what came, by the names of the files
}

var errDowngrade = errors.New("it redirects from https to http")

func newFetcher(ctx context.Context, caFile, agent string) (*fetcher, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if caFile != "" {
		var err error
		if transport.TLSClientConfig, err = authority.Trusting(caFile); err != nil {
			return nil, err
		}
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(request *http.Request, via []*http.Request) error {
		if via[0].URL.Scheme == "https" && request.URL.Scheme != "https" {
			return errDowngrade
		}
		if len(via) >= 10 {
			return errors.New("it redirects again and again")
		}
		return nil
	}}
	return &fetcher{ctx: ctx, client: client, agent: agent, got: make(map[string][]byte)}, nil
}

// DownloadFile implements go-tuf's fetcher. More than sizeMax bytes are not read.
func (f *fetcher) DownloadFile(address string, sizeMax int64, _ time.Duration) ([]byte, error) {
	f.last = path.Base(address)
	ctx, cancel := context.WithTimeout(f.ctx, fileTimeMax)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", f.agent)
	response, err := f.client.Do(request)
	if err != nil {
		return nil, f.away(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, &metadata.ErrDownloadHTTP{StatusCode: response.StatusCode, URL: address}
	}
	sizeMax = min(sizeMax, metadataMax)
	text, err := io.ReadAll(io.LimitReader(response.Body, sizeMax+1))
	if err != nil {
		return nil, f.away(err)
	}
	if int64(len(text)) > sizeMax {
		return nil, &metadata.ErrDownloadLengthMismatch{Msg: fmt.Sprintf("%s has more than %d bytes", address, sizeMax)}
	}
	f.got[f.last] = text
	return text, nil
}

// away says that nothing came.
func (f *fetcher) away(err error) error {
	if f.ctx.Err() != nil {
		return context.Cause(f.ctx)
	}
	return fmt.Errorf("%w: %w", cmp.Or(authority.Hindered(err), engine.ErrTUFAway), err)
}
