package manual

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
)

// Written are pages that were written to files: their names and paths.
type Written struct {
	Pages []Page `json:"pages"`
}

// Write writes pages into a directory, each in one step.
func Write(dir string, pages []Page) (*Written, error) {
	if err := durable.MkdirAll(vfs.OS(), dir, 0o755); err != nil {
		return nil, fmt.Errorf("manual pages: %w", err)
	}
	written := &Written{}
	for _, page := range pages {
		name := filepath.Join(dir, page.Name)
		err := durable.WriteFile(vfs.OS(), name, 0o644, true, func(w io.Writer) error {
			_, err := io.WriteString(w, page.Roff)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("manual page %s: %w", page.Name, err)
		}
		written.Pages = append(written.Pages, Page{Name: page.Name, Path: name})
	}
	return written, nil
}

// Date is the date of the pages, the same for the same sources: the seconds since 1970 that are said, or the time of the commit; the
// zero time where neither is known.
func Date(seconds, commit string) (time.Time, error) {
	if seconds != "" {
		said, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil || said < 0 {
			return time.Time{}, fmt.Errorf("%q is not a time", seconds)
		}
		return time.Unix(said, 0), nil
	}
	date, err := time.Parse(time.RFC3339, commit)
	if err != nil {
		return time.Time{}, nil // a build without a commit has no date
	}
	return date, nil
}
