package objcopy

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestStringTable(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name     string
		reserved int
		names    []string
		want     string
	}{
		{"empty", 1, nil, "\x00"},
		{"only the empty string", 1, []string{""}, "\x00"},
		{"descending by the last byte", 1, []string{"xa", "xb", "xc"}, "\x00xc\x00xb\x00xa\x00"},
		{"tails are shared", 1, []string{"text", ".text", "rela.text"}, "\x00rela.text\x00"},
		{"only with the string before", 1, []string{"oo", "foo", "zoo"}, "\x00zoo\x00foo\x00"},
		{"each string once", 1, []string{"main", "main"}, "\x00main\x00"},
		{"bytes are unsigned", 1, []string{"\xff", "a"}, "\x00\xff\x00a\x00"},
		{"room for the size", 4, []string{".debug_line", ".zdebug_line"}, "\x00\x00\x00\x00.zdebug_line\x00.debug_line\x00"},
	} {
		table := newStringTable(each.reserved)
		for _, name := range each.names {
			if _, err := table.add(name); err != nil {
				t.Fatal(err)
			}
		}
		table.build()
		data := make([]byte, table.size+1)
		if n, err := table.ReadAt(data, 0); int64(n) != table.size || !errors.Is(err, io.EOF) {
			t.Errorf("%s: %d of %d bytes read: %v", each.name, n, table.size, err)
		}
		data = data[:table.size]
		if string(data) != each.want {
			t.Errorf("%s: %q, want %q", each.name, data, each.want)
		}
		for start := range data { // in pieces, as an image is read
			for end := start + 1; end <= len(data); end++ {
				part := make([]byte, end-start)
				if n, err := table.ReadAt(part, int64(start)); n != len(part) || err != nil || !bytes.Equal(part, data[start:end]) {
					t.Errorf("%s: %q at %d, want %q: %v", each.name, part[:n], start, data[start:end], err)
				}
			}
		}
		for number, name := range each.names {
			found, err := textAt(string(data), int(table.offset(number)), len(name))
			if err != nil || name != "" && found != name {
				t.Errorf("%s: %q is at %d: %q, %v", each.name, name, table.offset(number), found, err)
			}
		}
	}
}

func TestStringTableTooLarge(t *testing.T) {
	t.Parallel()
	table := newStringTable(1)
	long := strings.Repeat("x", namesSizeMax-1)
	if _, err := table.add(long); err != nil {
		t.Error(err)
	}
	if _, err := table.add(""); !errors.Is(err, errNames) {
		t.Errorf("%v, want %v", err, errNames)
	}
}

func TestSectionReference(t *testing.T) {
	t.Parallel()
	for offset, want := range map[uint32]string{4: "/4", 9_999_999: "/9999999", 10_000_000: "//AAmJaA", 1<<32 - 1: "//D/////"} {
		if got := sectionReference(offset); got != want {
			t.Errorf("%d: %q, want %q", offset, got, want)
		}
	}
}
