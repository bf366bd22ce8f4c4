package main

import (
	"io"
	"testing"
)

// BenchmarkParser is what every command pays before it begins.
func BenchmarkParser(b *testing.B) {
	for b.Loop() {
		var grammar cli
		parser, err := newParser(&grammar, &config{}, io.Discard, 80)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := parser.Parse([]string{"version"}); err != nil {
			b.Fatal(err)
		}
	}
}
