package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/release"
)

// list says which artifacts there are.
func (s *Server) list(out *answer, r *http.Request) {
	items, err := s.shelf(r.Context())
	var text []byte
	if err == nil {
		text, err = json.Marshal(Listing{items})
	}
	if err != nil {
		s.failed(out, err)
		return
	}
	s.count(&s.counters.Lists, 1)
	text = append(text, '\n')
	small(out, "application/json", text)
}

// shelf describes all artifacts. What one says of itself is read once: its digest names the same bytes for ever.
func (s *Server) shelf(ctx context.Context) ([]shelf.Item, error) {
	artifacts, err := s.Depot.List()
	if err != nil {
		return nil, err
	}
	items := make([]shelf.Item, 0, len(artifacts))
	known := make(map[string]*shelf.Item, len(artifacts))
	for _, artifact := range artifacts {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		s.mu.Lock()
		item := s.items[artifact.SHA256]
		s.mu.Unlock()
		if item == nil || item.Problem != "" {
			described := shelf.Describe(s.Depot, artifact)
			item = &described
		}
		known[artifact.SHA256] = item
		shown := *item
		shown.Artifact = artifact
		items = append(items, shown)
	}
	s.mu.Lock()
	s.items = known
	s.mu.Unlock()
	shelf.Sort(items)
	return items, nil
}

// asset answers as a mirror does: the bare executable under the name of the archive, and the checksums of all that
// the release has.
func (s *Server) asset(out *answer, r *http.Request, tag release.Tag, asset string) {
	items, err := s.shelf(r.Context())
	if err != nil {
		s.failed(out, err)
		return
	}
	has := make(map[string][]string) // digests by the name of the asset
	sums := ""
	for index := range items {
		item := &items[index]
		if item.IsOf(tag) {
			name := release.AssetName(item.Platform, item.Debug)
			has[name] = append(has[name], item.SHA256)
		}
	}
	for _, platform := range release.Platforms() {
		for _, debug := range []bool{false, true} {
			name := release.AssetName(platform, debug)
			if digests := has[name]; len(digests) == 1 {
				sums += digests[0] + "  " + name + "\n"
			}
		}
	}
	digests := has[asset]
	of, sidecar := strings.CutSuffix(asset, ".sha256")
	switch {
	case asset == sumsName && sums != "":
		s.count(&s.counters.Lists, 1)
		small(out, "text/plain; charset=utf-8", []byte(sums))
	case sidecar && len(has[of]) == 1:
		s.count(&s.counters.Lists, 1)
		small(out, "text/plain; charset=utf-8", []byte(has[of][0]+"  "+of+"\n"))
	case len(digests) == 1:
		out.Header().Set("Cache-Control", "no-cache")
		s.artifact(out, r, digests[0], ".."+PathDigest+digests[0]+SuffixDelta)
	case len(digests) > 1:
		refuse(out, http.StatusConflict, fmt.Sprintf("there are several of release %s; ask for one of /sha256/%s", tag, strings.Join(digests, ", /sha256/")))
	default:
		refuse(out, http.StatusNotFound, "no such asset")
	}
}

// releases lists what can be asked for by a release. All of it is on the first page.
func (s *Server) releases(out *answer, r *http.Request) {
	items, err := s.shelf(r.Context())
	if err != nil {
		s.failed(out, err)
		return
	}
	all := []*listed{}
	byTag := make(map[release.Tag]*listed)
	for index := range items {
		item := &items[index]
		tag := item.Tag()
		if tag == "" {
			continue
		}
		if byTag[tag] == nil {
			byTag[tag] = &listed{Tag: string(tag)}
			all = append(all, byTag[tag])
		}
		byTag[tag].Assets = append(byTag[tag].Assets, listedAsset{release.AssetName(item.Platform, item.Debug), item.Size, shelf.PrefixDigest + item.SHA256})
	}
	text, err := json.Marshal(all)
	if err != nil {
		s.failed(out, err)
		return
	}
	s.count(&s.counters.Lists, 1)
	small(out, "application/json", append(text, '\n'))
}
