package serve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/vfs"
)

// settled is how long a file must not have been changed for its times to tell one state of it from the next.
const settled = 2 * time.Second

// wholeness is what is known of one artifact's bytes.
type wholeness struct {
	mu   sync.Mutex // held while it is hashed: who asks for the same meanwhile waits
	info vfs.Info   // of the file that was hashed; zero: none was
	good bool
}

// open opens an artifact whose bytes are the ones that its name says. It is hashed when it is asked for the first
// time, and when its file is another one or has changed since. One that has changed is set aside, told, and a
// [depot.ErrDigest].
func (s *Server) open(ctx context.Context, digest string) (*depot.File, error) {
	file, err := s.Depot.Open(digest) // before anything is kept of the name
	if err != nil {
		return nil, err
	}
	if err = s.check(ctx, digest, file); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (s *Server) check(ctx context.Context, digest string, file *depot.File) error {
	known := s.known(digest)
	known.mu.Lock()
	defer known.mu.Unlock()
	before, err := file.Stat()
	if err != nil {
		return err
	}
	bad := fmt.Errorf("%s: %w", s.Depot.Path(digest), depot.ErrDigest)
	if known.info.Unchanged(before) {
		if known.good {
			return nil
		}
		return bad
	}
	sum, err := hashOf(ctx, file)
	if err != nil {
		return err
	}
	after, err := file.Stat()
	if err != nil {
		return err
	}
	good := sum == digest && before.Unchanged(after)
	known.good, known.info = good, vfs.Info{}
	if time.Since(after.Changed) > settled {
		known.info = after
	}
	if good {
		return nil
	}
	s.count(&s.counters.Changed, 1)
	if err := s.Depot.Check(ctx, digest); err != nil { // which sets it aside
		bad = err
	}
	s.tell(bad.Error())
	return bad
}

// known is what is known of an artifact.
func (s *Server) known(digest string) *wholeness {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.whole == nil || len(s.whole) > 2*depot.ArtifactsMax { // of many that came and went
		s.whole = make(map[string]*wholeness)
	}
	if s.whole[digest] == nil {
		s.whole[digest] = new(wholeness)
	}
	return s.whole[digest]
}

func hashOf(ctx context.Context, file *depot.File) (string, error) {
	sum := sha256.New()
	buffer := make([]byte, 256<<10)
	from := io.NewSectionReader(file, 0, file.Size())
	for {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		count, err := from.Read(buffer)
		sum.Write(buffer[:count])
		if err == io.EOF {
			return hex.EncodeToString(sum.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
}
