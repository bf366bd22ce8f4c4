package durable_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestDraft: what is there already is found out piece by piece, and what is another file
// from any byte on comes whole.
func TestDraft(t *testing.T) {
	t.Parallel()
	const there = "what is there already"
	m := newFS(t, memfs.Options{})
	opened := 0
	open := func() (durable.Store, error) {
		opened++
		return durable.ScratchAt(m, testDir, ".scratch", 0, func(err error) error { return err })
	}
	fails := func() (durable.Store, error) { return nil, errInjected }
	for _, test := range []struct {
		came         string
		open         func() (durable.Store, error)
		whole, fails bool
	}{
		{there, open, true, false},
		{there, fails, true, false},
		{"what is new", open, false, false},
		{"what is new", fails, false, true},
		{there + " and more", open, false, false},
		{there[:7], open, false, false},
		{there[:7], fails, false, false},
		{"", open, false, false},
	} {
		for size := 1; size <= len(test.came)+1; size += 3 {
			draft, err := durable.NewDraft(strings.NewReader(there), int64(len(there)), test.open)
			check(t, err)
			for _, came := range []string{test.came, test.came} { // from the beginning again
				check(t, draft.Reset())
				_, err = io.CopyBuffer(struct{ io.Writer }{draft}, struct{ io.Reader }{strings.NewReader(came)}, make([]byte, size))
			}
			if test.fails {
				if !errors.Is(err, errInjected) {
					t.Errorf("%q: %v", test.came, err)
				}
				continue
			}
			check(t, err)
			for range 2 { // as it is, and stored
				text, err := io.ReadAll(io.NewSectionReader(draft, 0, draft.Size()))
				if err != nil || string(text) != test.came {
					t.Errorf("%q: %q, %v", test.came, text, err)
				}
				if draft.Whole() != test.whole && draft.Store() == nil {
					t.Errorf("%q: whole %v", test.came, draft.Whole())
				}
				if err := draft.Keep(); (err == nil) != (draft.Err() == nil) {
					t.Errorf("%q: %v", test.came, err)
				}
			}
			check(t, draft.Abort())
		}
	}
	if _, err := durable.NewDraft(nil, 0, fails); !errors.Is(err, errInjected) || opened == 0 {
		t.Errorf("nothing to compare with: %v", err)
	}
	if names, err := openDir(t, m).List("", 10); err != nil || len(names) > 0 {
		t.Errorf("left %q, %v", names, err)
	}
}
