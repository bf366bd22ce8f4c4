package durable_test

import (
	"io"
	"testing"

	"github.com/tbctl/tbctl/durable"
)

func TestScratch(t *testing.T) {
	t.Parallel()
	scratch, err := durable.NewScratch()
	check(t, err)
	check(t, writeString("ri")(scratch))
	check(t, writeString("ght")(scratch))
	text, err := io.ReadAll(io.NewSectionReader(scratch, 0, scratch.Size()))
	if err != nil || string(text) != "right" {
		t.Fatalf("read %q, %v", text, err)
	}
	check(t, scratch.Close())
	var none *durable.Scratch
	check(t, none.Close())
}
