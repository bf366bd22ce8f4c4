package archive

import (
	stdzip "archive/zip"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// program is data that looks like an executable: partly regular, partly not.
func program(size int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, size)
	for i := range b {
		if i%3 == 0 {
			b[i] = byte(rng.Uint32())
		} else {
			b[i] = byte(i >> 8)
		}
	}
	copy(b, "\x7fELF")
	return b
}

func sound(data []byte) piece { return piece{name: "tigerbeetle", data: data} }

// orUsual are the limits with the usual ones in the place of zeroes.
func (l limits) orUsual() limits {
	return limits{cmp.Or(l.Size, usual.Size), cmp.Or(l.Others, usual.Others), cmp.Or(l.Entries, usual.Entries)}
}

// readStream reads with the streaming reader.
func readStream(data []byte, limits limits) ([]byte, Entry, error) {
	r, err := newReader(bytes.NewReader(data), limits.orUsual())
	if err != nil {
		return nil, Entry{}, err
	}
	var out bytes.Buffer
	_, err = r.WriteTo(&out)
	return out.Bytes(), r.Entry(), err
}

func readRandom(data []byte, limits limits) ([]byte, Entry, error) {
	a, err := open(bytes.NewReader(data), int64(len(data)), limits.orUsual())
	if err != nil {
		return nil, Entry{}, err
	}
	out, err := io.ReadAll(a.Reader())
	return out, a.Entry, err
}

func TestSound(t *testing.T) {
	t.Parallel()
	data := program(300_000)
	readme := piece{name: "README.md", data: []byte("read me\n"), external: 0o100644 << 16}
	folder := piece{name: "doc/", stored: true, external: 0o040755 << 16}
	for name, b := range map[string]built{
		"as upstream writes it":            {pieces: []piece{sound(data)}},
		"stored":                           {pieces: []piece{{name: "tigerbeetle", data: data, stored: true}}},
		"windows":                          {pieces: []piece{{name: "tigerbeetle.exe", data: data}}},
		"empty program":                    {pieces: []piece{sound(nil)}},
		"comment":                          {pieces: []piece{sound(data)}, comment: []byte("a comment")},
		"longest comment":                  {pieces: []piece{sound(data)}, comment: bytes.Repeat([]byte("c"), commentSizeMax)},
		"extra fields":                     {pieces: []piece{{name: "tigerbeetle", data: data, extra: []byte("UT\x05\x00\x031234ux\x02\x00ab")}}},
		"padding in extra":                 {pieces: []piece{{name: "tigerbeetle", data: data, extra: []byte{0, 0, 0}}}},
		"descriptor sig32":                 {pieces: []piece{{name: "tigerbeetle", data: data, form: "sig32"}}},
		"descriptor sig64":                 {pieces: []piece{{name: "tigerbeetle", data: data, form: "sig64", zip64: true}}},
		"descriptor bare32":                {pieces: []piece{{name: "tigerbeetle", data: data, form: "bare32"}}},
		"descriptor bare64":                {pieces: []piece{{name: "tigerbeetle", data: data, form: "bare64"}}},
		"zip64":                            {pieces: []piece{{name: "tigerbeetle", data: data, zip64: true}}, zip64: true},
		"zip64 end record only":            {pieces: []piece{sound(data)}, zip64: true},
		"companions":                       {pieces: []piece{readme, folder, sound(data), {name: "LICENSE", data: data, form: "sig32"}}},
		"companion first, with descriptor": {pieces: []piece{{name: "LICENSE", data: data, form: "bare32"}, sound(data)}},
		"directory in another order":       {pieces: []piece{readme, sound(data)}, order: []int{1, 0}},
		"made for dos":                     {pieces: []piece{{name: "tigerbeetle", data: data, central: func(b []byte) { b[5] = 0; put32(38, 0x20)(b) }}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zip := b.bytes(t)
			want := data
			if name == "empty program" {
				want = nil
			}
			got, streamed, err := readStream(zip, limits{})
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("stream: %d bytes, %v", len(got), err)
			}
			if streamed.Size != int64(len(want)) || streamed.Mode != 0o755 && name != "made for dos" {
				t.Errorf("stream: %+v", streamed)
			}
			got, entry, err := readRandom(zip, limits{})
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("random access: %d bytes, %v", len(got), err)
			}
			if entry != streamed {
				t.Errorf("random access %+v, stream %+v", entry, streamed)
			}
		})
	}
}

// TestOtherWriters reads what the standard library writes, seekable or not.
func TestOtherWriters(t *testing.T) {
	t.Parallel()
	data := program(100_000)
	var b bytes.Buffer
	w := stdzip.NewWriter(&b)
	h := &stdzip.FileHeader{Name: "tigerbeetle", Method: stdzip.Deflate}
	h.SetMode(0o755)
	f, err := w.CreateHeader(h)
	if err != nil {
		t.Fatal(err)
	}
	f.Write(data)
	w.Close()
	got, entry, err := readStream(b.Bytes(), limits{})
	if err != nil || !bytes.Equal(got, data) || entry.Mode != 0o755 {
		t.Fatalf("%d bytes, %+v, %v", len(got), entry, err)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	data := program(10_000)
	one := sound(data)
	with := func(f func(*piece)) built {
		p := one
		f(&p)
		return built{pieces: []piece{p}}
	}
	number := func(n uint32) *uint32 { return &n }
	other := piece{name: "README.md", data: data}
	plain := built{pieces: []piece{one}}.bytes(t)
	packed := deflated(t, data)
	damaged := bytes.Clone(packed)
	damaged[0] |= 6 // a block type that does not exist

	for name, tc := range map[string]struct {
		zip    []byte
		limits limits
		rule   Rule
		random Rule // of random access where it differs
	}{
		"nothing":               {zip: nil, rule: RuleTruncated},
		"three bytes":           {zip: plain[:3], rule: RuleTruncated},
		"html":                  {zip: []byte("<!DOCTYPE html><html>"), rule: RuleNotZip},
		"elf":                   {zip: data, rule: RuleNotZip},
		"prefix":                {zip: append([]byte("#!/bin/sh\n"), plain...), rule: RuleNotZip},
		"half":                  {zip: plain[:len(plain)/2], rule: RuleTruncated},
		"without last byte":     {zip: plain[:len(plain)-1], rule: RuleTruncated},
		"trailing byte":         {zip: append(bytes.Clone(plain), 0), rule: RuleTrailing},
		"trailing archive":      {zip: append(bytes.Clone(plain), plain...), rule: RuleTrailing},
		"comment cut":           {zip: built{pieces: []piece{one}, end: put16(20, 5)}.bytes(t), rule: RuleTruncated},
		"end record in comment": {zip: built{pieces: []piece{one}, comment: append([]byte("PK\x05\x06"), make([]byte, 18)...)}.bytes(t), rule: RuleStructure},
		"empty":                 {zip: built{}.bytes(t), rule: RuleNoExecutable},
		"another name":          {zip: with(func(p *piece) { p.name = "tigerbeetle-x86_64-linux" }).bytes(t), rule: RuleNoExecutable},
		"in a folder":           {zip: with(func(p *piece) { p.name = "bin/tigerbeetle" }).bytes(t), rule: RuleNoExecutable},
		"twice":                 {zip: built{pieces: []piece{one, one}}.bytes(t), rule: RuleTwoExecutables},
		"both systems":          {zip: built{pieces: []piece{one, {name: "tigerbeetle.exe", data: data}}}.bytes(t), rule: RuleTwoExecutables},
		"directory":             {zip: with(func(p *piece) { p.external = 0o040755 << 16 }).bytes(t), rule: RuleNotRegular},
		"symlink":               {zip: with(func(p *piece) { p.external = 0o120777 << 16 }).bytes(t), rule: RuleNotRegular},
		"device":                {zip: with(func(p *piece) { p.external = 0o060777 << 16 }).bytes(t), rule: RuleNotRegular},
		"dos directory":         {zip: with(func(p *piece) { p.central = func(b []byte) { b[5] = 0; put32(38, 0x10)(b) } }).bytes(t), rule: RuleNotRegular},
		"absolute":              {zip: with(func(p *piece) { p.name = "/tigerbeetle" }).bytes(t), rule: RuleName},
		"drive":                 {zip: with(func(p *piece) { p.name = "C:tigerbeetle" }).bytes(t), rule: RuleName},
		"climbing":              {zip: built{pieces: []piece{{name: "a/../../b"}, one}}.bytes(t), rule: RuleName},
		"backslash":             {zip: built{pieces: []piece{{name: `a\b`}, one}}.bytes(t), rule: RuleName},
		"nul":                   {zip: built{pieces: []piece{{name: "a\x00b"}, one}}.bytes(t), rule: RuleName},
		"no name":               {zip: built{pieces: []piece{{name: ""}, one}}.bytes(t), rule: RuleName},
		"name in directory":     {zip: with(func(p *piece) { p.central = func(b []byte) { b[sizeDirectory] = 'T' } }).bytes(t), rule: RuleMismatch},
		"encrypted":             {zip: with(func(p *piece) { p.flags = flagEncrypted }).bytes(t), rule: RuleEncrypted},
		"companion encrypted":   {zip: built{pieces: []piece{one, {name: "x", flags: flagStrong}}}.bytes(t), rule: RuleEncrypted},
		"patch":                 {zip: with(func(p *piece) { p.flags = flagPatch }).bytes(t), rule: RuleMethod},
		"method":                {zip: with(func(p *piece) { p.method = 93 }).bytes(t), rule: RuleMethod},
		"method in directory":   {zip: with(func(p *piece) { p.central = put16(10, 0) }).bytes(t), rule: RuleSize, random: RuleSize},
		"long name":             {zip: built{pieces: []piece{{name: strings.Repeat("n", nameSizeMax+1)}, one}}.bytes(t), rule: RuleHeader},
		"long extra":            {zip: with(func(p *piece) { p.extra = make([]byte, extraSizeMax+1) }).bytes(t), rule: RuleHeader},
		"many entries":          {zip: built{pieces: []piece{one, {name: "a"}, {name: "b"}}}.bytes(t), limits: limits{Entries: 2}, rule: RuleEntries},
		"large":                 {zip: plain, limits: limits{Size: 9_999}, rule: RuleSizeMax},
		"large, descriptor":     {zip: with(func(p *piece) { p.form = "sig32" }).bytes(t), limits: limits{Size: 9_999}, rule: RuleSizeMax},
		"large companion":       {zip: built{pieces: []piece{other, one}}.bytes(t), limits: limits{Others: 9_999}, rule: RuleSizeMax},
		"large companions":      {zip: built{pieces: []piece{other, one, other}}.bytes(t), limits: limits{Others: 19_999}, rule: RuleSizeMax},
		"bomb":                  {zip: built{pieces: []piece{sound(make([]byte, 8<<20))}}.bytes(t), rule: RuleRatio},
		"bomb, descriptor":      {zip: built{pieces: []piece{{name: "tigerbeetle", data: make([]byte, 8<<20), form: "sig32"}}}.bytes(t), rule: RuleRatio},
		"bomb, understated":     {zip: built{pieces: []piece{{name: "tigerbeetle", data: make([]byte, 8<<20), size: number(1 << 20)}}}.bytes(t), rule: RuleSize},
		"crc":                   {zip: with(func(p *piece) { p.crc = number(7) }).bytes(t), rule: RuleCRC},
		"crc, stored":           {zip: with(func(p *piece) { p.crc, p.stored = number(7), true }).bytes(t), rule: RuleCRC},
		"crc, descriptor":       {zip: with(func(p *piece) { p.crc, p.form = number(7), "sig32" }).bytes(t), rule: RuleMismatch, random: RuleCRC},
		"crc in directory":      {zip: with(func(p *piece) { p.central = put32(16, 7) }).bytes(t), rule: RuleMismatch},
		"size too small":        {zip: with(func(p *piece) { p.size = number(9_999) }).bytes(t), rule: RuleSize},
		"size too large":        {zip: with(func(p *piece) { p.size = number(10_001) }).bytes(t), rule: RuleSize},
		"size in directory":     {zip: with(func(p *piece) { p.central = put32(24, 9_999) }).bytes(t), rule: RuleMismatch},
		"compressed too small":  {zip: with(func(p *piece) { p.sizeCompressed = number(uint32(len(packed) - 1)) }).bytes(t), rule: RuleSize, random: RuleStructure},
		"stored, two sizes":     {zip: with(func(p *piece) { p.stored, p.size = true, number(9_999) }).bytes(t), rule: RuleSize},
		"offset in directory":   {zip: with(func(p *piece) { p.central = put32(42, 1) }).bytes(t), rule: RuleMismatch},
		"descriptor flag":       {zip: with(func(p *piece) { p.central = put16(8, flagDescriptor) }).bytes(t), rule: RuleMismatch},
		"disk":                  {zip: with(func(p *piece) { p.central = put16(34, 1) }).bytes(t), rule: RuleSpanned},
		"end on another disk":   {zip: built{pieces: []piece{one}, end: put16(4, 1)}.bytes(t), rule: RuleSpanned},
		"spanning marker":       {zip: append([]byte("PK\x07\x08"), plain...), rule: RuleSpanned},
		"entry count":           {zip: built{pieces: []piece{one}, end: put16(10, 2)}.bytes(t), rule: RuleMismatch},
		"directory size":        {zip: built{pieces: []piece{one}, end: put32(12, 2)}.bytes(t), rule: RuleMismatch},
		"directory offset":      {zip: built{pieces: []piece{one}, end: put32(16, 2)}.bytes(t), rule: RuleMismatch, random: RuleStructure},
		"saturated, no zip64":   {zip: built{pieces: []piece{one}, end: put16(10, 0xffff)}.bytes(t), rule: RuleMismatch},
		"not listed":            {zip: built{pieces: []piece{one, other}, order: []int{0}}.bytes(t), rule: RuleMismatch},
		"listed twice":          {zip: built{pieces: []piece{one, other}, order: []int{0, 1, 1}}.bytes(t), rule: RuleMismatch},
		"gap":                   {zip: with(func(p *piece) { p.tail = []byte("gap") }).bytes(t), rule: RuleStructure},
		"stored, descriptor":    {zip: with(func(p *piece) { p.stored, p.form = true, "sig32" }).bytes(t), rule: RuleStoredDescriptor, random: "none"},
		"damaged":               {zip: with(func(p *piece) { p.raw = damaged }).bytes(t), rule: RuleDeflate},
		"deflate cut":           {zip: with(func(p *piece) { p.raw = packed[:100] }).bytes(t), rule: RuleDeflate},
		"no zip64 field":        {zip: with(func(p *piece) { p.local = put32(22, 1<<32-1) }).bytes(t), rule: RuleStructure},
		"zip64 size beyond":     {zip: with(func(p *piece) { p.zip64 = true; p.local = put64(sizeLocal+11+4, 1<<63) }).bytes(t), rule: RuleSizeMax},
		"zip64 record size":     {zip: built{pieces: []piece{one}, zip64: true, end64: put64(4, 1<<40)}.bytes(t), rule: RuleHeader},
		"zip64 entry count":     {zip: built{pieces: []piece{one}, zip64: true, end64: put64(32, 9)}.bytes(t), rule: RuleMismatch},
		"zip64 locator":         {zip: built{pieces: []piece{one}, zip64: true, locator: put64(8, 9)}.bytes(t), rule: RuleMismatch},
		"zip64 disks":           {zip: built{pieces: []piece{one}, zip64: true, locator: put32(16, 2)}.bytes(t), rule: RuleSpanned},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := readStream(tc.zip, tc.limits)
			checkRule(t, "stream", err, tc.rule)
			_, _, err = readRandom(tc.zip, tc.limits)
			want := tc.rule
			if tc.random != "" {
				want = tc.random
			}
			checkRule(t, "random access", err, want)
		})
	}
}

func checkRule(t *testing.T, how string, err error, want Rule) {
	t.Helper()
	if want == "none" {
		if err != nil {
			t.Errorf("%s: %v", how, err)
		}
		return
	}
	var format *FormatError
	if !errors.As(err, &format) || format.Rule != want || !errors.Is(err, want) {
		t.Errorf("%s: got %v, want rule %q", how, err, string(want))
		return
	}
	if (want == RuleTruncated) != Truncated(err) {
		t.Errorf("%s: Truncated(%v) is %v", how, err, Truncated(err))
	}
}

// TestCut cuts an archive at every length: only the whole is accepted, and each cut is called that.
func TestCut(t *testing.T) {
	t.Parallel()
	zip := built{pieces: []piece{
		{name: "LICENSE", data: program(50), form: "bare32"},
		{name: "tigerbeetle", data: program(500), form: "sig64", zip64: true},
		{name: "README.md", data: program(60)},
	}, zip64: true, comment: []byte("end")}.bytes(t)
	for n := range zip {
		if _, _, err := readStream(zip[:n], limits{}); !errors.Is(err, RuleTruncated) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("stream, %d of %d bytes: %v", n, len(zip), err)
		}
		if _, _, err := readRandom(zip[:n], limits{}); err == nil {
			t.Fatalf("random access, %d of %d bytes: accepted", n, len(zip))
		}
	}
	if _, _, err := readStream(zip, limits{}); err != nil {
		t.Fatal(err)
	}
}

// TestSourceFails passes the source's own error on.
func TestSourceFails(t *testing.T) {
	t.Parallel()
	zip := built{pieces: []piece{sound(program(400_000))}}.bytes(t)
	failure := errors.New("the cable is out")
	for _, n := range []int{0, 2, 40, 1000, 200_000, len(zip) - 10, len(zip)} {
		src := io.MultiReader(bytes.NewReader(zip[:n]), iotest.ErrReader(failure))
		r, err := NewReader(src)
		if err == nil {
			_, err = r.WriteTo(io.Discard)
		}
		if !errors.Is(err, failure) || Truncated(err) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// TestSourceEnds tells an archive that ends too soon from a source that says why it does.
func TestSourceEnds(t *testing.T) {
	t.Parallel()
	half := built{pieces: []piece{sound(program(400_000))}}.bytes(t)[:200_000]
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF} {
		r, err := NewReader(io.MultiReader(bytes.NewReader(half), iotest.ErrReader(end)))
		if err == nil {
			_, err = r.WriteTo(io.Discard)
		}
		checkRule(t, "source", err, RuleTruncated)
	}
	why := fmt.Errorf("gave up after 6 attempts: %w", io.ErrUnexpectedEOF)
	r, err := NewReader(io.MultiReader(bytes.NewReader(half), iotest.ErrReader(why)))
	if err == nil {
		_, err = r.WriteTo(io.Discard)
	}
	if !errors.Is(err, why) || errors.Is(err, RuleTruncated) {
		t.Errorf("%v", err)
	}
}

// TestDestinationFails stops at the first error of the writer and keeps it.
func TestDestinationFails(t *testing.T) {
	t.Parallel()
	for _, stored := range []bool{false, true} {
		zip := built{pieces: []piece{{name: "tigerbeetle", data: program(400_000), stored: stored}}}.bytes(t)
		r, err := NewReader(bytes.NewReader(zip))
		if err != nil {
			t.Fatal(err)
		}
		full := errors.New("disk full")
		if _, err := r.WriteTo(failingWriter{full}); !errors.Is(err, full) {
			t.Errorf("stored %v: %v", stored, err)
		}
		if _, err := r.WriteTo(io.Discard); !errors.Is(err, full) {
			t.Errorf("stored %v, again: %v", stored, err)
		}
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// TestSection reads a stored executable in place.
func TestSection(t *testing.T) {
	t.Parallel()
	data := program(200_000)
	zip := built{pieces: []piece{{name: "tigerbeetle", data: data, stored: true, form: "sig32"}}}.bytes(t)
	a, err := Open(bytes.NewReader(zip), int64(len(zip)))
	if err != nil {
		t.Fatal(err)
	}
	section, ok := a.Section()
	if !ok || section.Size() != int64(len(data)) {
		t.Fatalf("section: %v", ok)
	}
	got := make([]byte, 100)
	if _, err := section.ReadAt(got, 150_000); err != nil || !bytes.Equal(got, data[150_000:150_100]) {
		t.Errorf("ReadAt: %v", err)
	}
	if a.Entry.Mode != fs.FileMode(0o755) {
		t.Errorf("mode %v", a.Entry.Mode)
	}
	zip = built{pieces: []piece{sound(data)}}.bytes(t)
	if a, err = Open(bytes.NewReader(zip), int64(len(zip))); err != nil {
		t.Fatal(err)
	}
	if _, ok := a.Section(); ok {
		t.Error("a deflated executable has a section")
	}
}

func TestSniff(t *testing.T) {
	t.Parallel()
	tar := make([]byte, 512)
	copy(tar, "tigerbeetle")
	copy(tar[257:], "ustar")
	for text, want := range map[string]Kind{
		"": KindEmpty, "PK\x03\x04..": KindZip, "PK\x05\x06": KindZip, "\x7fELF\x02": KindELF, "MZ\x90": KindPE,
		"\xca\xfe\xba\xbe\x00\x00\x00\x06": KindMachOUniversal, "\xcf\xfa\xed\xfe": KindMachO,
		"<!DOCTYPE html>": KindHTML, "\n <html lang=en>": KindHTML, "\xef\xbb\xbf<HTML>": KindHTML,
		"<!-- hi --><html>": KindHTML, "<!-- hi": KindHTML, `<?xml version="1.0"?><Error>`: KindXML,
		`<?xml version="1.0"?><html xmlns="">`: KindHTML, "<Error><Code>AccessDenied": KindXML,
		`{"message":"Not Found"}`: KindJSON, "[]": KindJSON, "\x1f\x8b\x08": KindGzip, "\xfd7zXZ\x00": KindXz,
		"\x28\xb5\x2f\xfd": KindZstd, "BZh9": KindBzip2, string(tar): KindTar, "#!/bin/sh\n": KindScript,
		"Not Found\n": KindText, "\x00\x01\x02": KindUnknown, "caf\xc3": KindText, "caf\xc3\x28": KindUnknown,
	} {
		if got := Sniff([]byte(text)); got != want {
			t.Errorf("Sniff(%.20q) = %s, want %s", text, string(got), string(want))
		}
	}
}

// TestToolsArchives reads what zip tools wrote: Info-ZIP to a file, to a pipe and from a pipe (whose
// entry has no name), and Python to a pipe with zip64.
func TestToolsArchives(t *testing.T) {
	t.Parallel()
	want := bytes.Repeat([]byte("\x7fELF a program, not really\n"), 40)
	for name, rule := range map[string]Rule{
		"infozip.zip": "none", "infozip-piped.zip": "none", "python-stream-zip64.zip": "none",
		"infozip-stdin.zip": RuleNoExecutable,
	} {
		zip, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		got, entry, err := readStream(zip, limits{})
		checkRule(t, name+" stream", err, rule)
		if err == nil && (!bytes.Equal(got, want) || entry.Mode.Perm() != 0o755) {
			t.Errorf("%s: %d bytes, %+v", name, len(got), entry)
		}
		got, entry, err = readRandom(zip, limits{})
		checkRule(t, name+" random access", err, rule)
		if err == nil && (!bytes.Equal(got, want) || entry.Mode.Perm() != 0o755) {
			t.Errorf("%s: %d bytes, %+v", name, len(got), entry)
		}
	}
}
