package archive

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// fuzzLimits keeps each run small, so that a fuzzer can make many.
var fuzzLimits = limits{Size: 1 << 20, Others: 64 << 10, Entries: 8}

func seeds(f *testing.F) {
	data := program(600)
	readme := piece{name: "README.md", data: []byte("read me"), form: "bare32"}
	for _, b := range []built{
		{pieces: []piece{sound(data)}},
		{pieces: []piece{{name: "tigerbeetle", data: data, stored: true}}, comment: []byte("comment")},
		{pieces: []piece{{name: "tigerbeetle.exe", data: data, form: "sig32"}, readme}},
		{pieces: []piece{readme, {name: "tigerbeetle", data: data, form: "sig64", zip64: true}}, zip64: true},
		{pieces: []piece{{name: "tigerbeetle", data: data, stored: true, form: "bare64"}}},
		{pieces: []piece{sound(data), sound(data)}},
		{pieces: []piece{{name: "tigerbeetle", data: data, external: 0o120777 << 16}}},
	} {
		f.Add(b.bytes(f))
	}
	f.Add([]byte("<html>"))
}

// FuzzAgree holds that the stream and random access accept the same archives, with the same entry
// and the same data, and that every refusal names its rule.
func FuzzAgree(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, zip []byte) {
		streamed, streamedEntry, errStream := readStream(zip, fuzzLimits)
		random, randomEntry, errRandom := readRandom(zip, fuzzLimits)
		for _, err := range []error{errStream, errRandom} {
			if err != nil && !errors.As(err, new(*FormatError)) {
				t.Fatalf("an error without a rule: %v", err)
			}
		}
		if errors.Is(errStream, RuleStoredDescriptor) {
			return // the one difference that the format forces
		}
		if (errStream == nil) != (errRandom == nil) {
			t.Fatalf("stream %v, random access %v", errStream, errRandom)
		}
		if errStream == nil && (!bytes.Equal(streamed, random) || streamedEntry != randomEntry) {
			t.Fatalf("stream %+v, random access %+v", streamedEntry, randomEntry)
		}
	})
}

// FuzzSniff holds that any prefix has a kind with a name.
func FuzzSniff(f *testing.F) {
	for _, s := range []string{"", "PK\x03\x04", "<!--", "<?xml ", "{", "\xef\xbb\xbf<html", "caf\xc3"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, prefix []byte) {
		if kind := Sniff(prefix); kind == "" || kind.String() == "" {
			t.Fatalf("Sniff(%q) = %q", prefix, string(kind))
		}
	})
}

func BenchmarkStream(b *testing.B) {
	data := program(16 << 20)
	zip := built{pieces: []piece{sound(data)}}.bytes(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := NewReader(bytes.NewReader(zip))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
