package release

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
)

// An apiCache keeps one answer of the API under its ETag. It is a convenience: whatever goes wrong
// with it, the API is asked without it. What another user could have written is passed over.
type apiCache struct {
	dir  string // "" without a cache directory
	name string
}

func newAPICache(cacheDir string, u *url.URL) apiCache {
	return apiCache{cacheDir, urlKey(u)[:32] + ".json"}
}

func (c apiCache) load() (apiAnswer, bool) {
	if c.dir == "" {
		return apiAnswer{}, false
	}
	b, err := c.read()
	var answer apiAnswer
	if err != nil || json.Unmarshal(b, &answer) != nil || answer.ETag == "" || answer.Releases == nil {
		return apiAnswer{}, false
	}
	return answer, true
}

func (c apiCache) read() ([]byte, error) {
	dir, path, err := openCache(c.dir, answersName)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	file, err := dir.Open(c.name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil {
		err = ownFile(filepath.Join(path, c.name), info)
	}
	if err != nil {
		return nil, err
	}
	return readBounded(io.NewSectionReader(file, 0, info.Size), 2*apiAnswerMax)
}

func (c apiCache) save(answer apiAnswer) {
	if c.dir == "" || answer.ETag == "" || len(answer.ETag) > validatorSizeMax {
		return
	}
	dir, path, err := openCache(c.dir, answersName)
	if err != nil {
		return
	}
	defer dir.Close()
	_ = durable.WriteFile(vfs.OS(), filepath.Join(path, c.name), cacheFileMode, true, func(w io.Writer) error {
		return json.NewEncoder(w).Encode(answer)
	})
}
