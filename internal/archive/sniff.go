package archive

import (
	"bytes"
	"unicode/utf8"
)

// A Kind is what the first bytes of a file look like.
type Kind string

// The kinds that [Sniff] tells apart: what a release may be, and what is served in its place when
// something went wrong.
const (
	KindEmpty          Kind = "empty"
	KindZip            Kind = "zip"
	KindELF            Kind = "elf"
	KindPE             Kind = "pe"
	KindMachO          Kind = "macho"
	KindMachOUniversal Kind = "macho-universal"
	KindHTML           Kind = "html"
	KindXML            Kind = "xml"
	KindJSON           Kind = "json"
	KindGzip           Kind = "gzip"
	KindXz             Kind = "xz"
	KindZstd           Kind = "zstd"
	KindBzip2          Kind = "bzip2"
	KindTar            Kind = "tar"
	KindScript         Kind = "script"
	KindText           Kind = "text"
	KindUnknown        Kind = "unknown"
)

// SniffSize is how many bytes [Sniff] looks at, at most. A tar is only recognized with all of them.
const SniffSize = 512

// Executable reports whether k is a format that an operating system runs directly.
func (k Kind) Executable() bool {
	return k == KindELF || k == KindPE || k == KindMachO || k == KindMachOUniversal
}

// String describes k for a message, with its article: "an HTML page".
func (k Kind) String() string {
	switch k {
	case KindEmpty:
		return "an empty file"
	case KindZip:
		return "a zip archive"
	case KindELF:
		return "an ELF executable"
	case KindPE:
		return "a PE executable"
	case KindMachO:
		return "a Mach-O executable"
	case KindMachOUniversal:
		return "a universal Mach-O executable"
	case KindHTML:
		return "an HTML page"
	case KindXML:
		return "an XML document"
	case KindJSON:
		return "a JSON document"
	case KindGzip:
		return "gzip data"
	case KindXz:
		return "xz data"
	case KindZstd:
		return "zstd data"
	case KindBzip2:
		return "bzip2 data"
	case KindTar:
		return "a tar archive"
	case KindScript:
		return "a script"
	case KindText:
		return "a text"
	}
	return "an unknown kind of file"
}

// Sniff says what a file is that begins with prefix. It never fails: a guess by magic numbers, good
// for choosing a reader and for naming a stranger, and no proof of anything.
func Sniff(prefix []byte) Kind {
	prefix = prefix[:min(len(prefix), SniffSize)]
	if len(prefix) == 0 {
		return KindEmpty
	}
	for _, m := range [...]struct {
		magic string
		kind  Kind
	}{
		{"PK\x03\x04", KindZip},
		{"PK\x05\x06", KindZip}, // without entries
		{"PK\x07\x08", KindZip}, // one of several disks
		{"\x7fELF", KindELF},
		{"MZ", KindPE},
		{"\xca\xfe\xba\xbe", KindMachOUniversal},
		{"\xca\xfe\xba\xbf", KindMachOUniversal},
		{"\xcf\xfa\xed\xfe", KindMachO},
		{"\xce\xfa\xed\xfe", KindMachO},
		{"\x1f\x8b", KindGzip},
		{"\xfd7zXZ\x00", KindXz},
		{"\x28\xb5\x2f\xfd", KindZstd},
		{"BZh", KindBzip2},
		{"#!", KindScript},
	} {
		if bytes.HasPrefix(prefix, []byte(m.magic)) {
			return m.kind
		}
	}
	if len(prefix) >= 262 && string(prefix[257:262]) == "ustar" {
		return KindTar
	}
	return sniffText(prefix)
}

// sniffText tells documents apart. Markup may be in any encoding; anything else is a text only
// without control characters.
func sniffText(prefix []byte) Kind {
	text := bytes.TrimLeft(bytes.TrimPrefix(prefix, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case bytes.HasPrefix(text, []byte("<")):
		return sniffMarkup(bytes.ToLower(text))
	case !isText(text):
		return KindUnknown
	case bytes.HasPrefix(text, []byte("{")), bytes.HasPrefix(text, []byte("[")):
		return KindJSON
	}
	return KindText
}

// sniffMarkup tells HTML from other XML, in lower case.
func sniffMarkup(text []byte) Kind {
	for bytes.HasPrefix(text, []byte("<!--")) { // a comment may stand before either
		_, rest, found := bytes.Cut(text, []byte("-->"))
		if !found {
			return KindHTML
		}
		text = bytes.TrimLeft(rest, " \t\r\n")
	}
	if bytes.HasPrefix(text, []byte("<?xml")) {
		if bytes.Contains(text, []byte("<html")) {
			return KindHTML
		}
		return KindXML
	}
	for _, tag := range [...]string{"<!doctype html", "<html", "<head", "<body", "<title", "<h1", "<script"} {
		if bytes.HasPrefix(text, []byte(tag)) {
			return KindHTML
		}
	}
	return KindXML
}

// isText reports whether b has neither control characters nor invalid UTF-8, allowing for a
// character that the end of b cuts in two.
func isText(b []byte) bool {
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			return len(b) < utf8.UTFMax && !utf8.FullRune(b)
		}
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f' {
			return false
		}
		b = b[size:]
	}
	return true
}
