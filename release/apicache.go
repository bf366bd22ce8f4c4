package release

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"

	"github.com/tbctl/tbctl/fsatomic"
)

// An apiCache keeps one answer of the API under its ETag. It is a convenience: whatever goes wrong
// with it, the API is asked without it.
type apiCache struct {
	path string // "" without a cache directory
}

func newAPICache(cacheDir string, u *url.URL) apiCache {
	if cacheDir == "" {
		return apiCache{}
	}
	return apiCache{filepath.Join(cacheDir, "api", urlKey(u)[:32]+".json")}
}

func (c apiCache) load() (apiAnswer, bool) {
	var answer apiAnswer
	if c.path == "" {
		return answer, false
	}
	b, err := readFileBounded(c.path, 2*apiAnswerMax)
	if err != nil || json.Unmarshal(b, &answer) != nil || answer.ETag == "" || len(answer.Body) == 0 {
		return apiAnswer{}, false
	}
	return answer, true
}

func (c apiCache) save(answer apiAnswer) {
	if c.path == "" || answer.ETag == "" || len(answer.ETag) > validatorSizeMax {
		return
	}
	if fsatomic.MkdirAll(fsatomic.OS(), filepath.Dir(c.path), cacheDirMode) != nil {
		return
	}
	_ = fsatomic.WriteFile(fsatomic.OS(), c.path, cacheFileMode, true, func(w io.Writer) error {
		return json.NewEncoder(w).Encode(answer)
	})
}
