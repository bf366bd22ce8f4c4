package delta_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

var platforms = []multiversion.Platform{
	multiversion.PlatformX86_64Linux, multiversion.PlatformAArch64Linux, multiversion.PlatformX86_64Windows, multiversion.PlatformUniversalMacOS,
}

// pair returns a binary and the one that upstream's build would make after it.
func pair(t *testing.T, platform multiversion.Platform) (before, after []byte) {
	before = testbin.Build(t, testbin.Spec{Platform: platform, Current: testbin.Release("0.17.7"), Past: testbin.PastOf("0.17.5", "0.17.6")})
	after = testbin.Build(t, testbin.Spec{Platform: platform, Current: testbin.Release("0.17.8"), From: before})
	return before, after
}

func recipeOf(t *testing.T, data []byte) delta.Recipe {
	t.Helper()
	recipe, err := delta.Of(testbin.Load(t, data))
	if err != nil {
		t.Fatal(err)
	}
	if err := recipe.Check(); err != nil {
		t.Fatal(err)
	}
	return recipe
}

func heldOf(t *testing.T, data []byte) delta.Held {
	t.Helper()
	held := delta.Held{}
	held.Add(testbin.Load(t, data))
	return held
}

// TestNextRelease sends each platform's next release to a host that has the one before it.
func TestNextRelease(t *testing.T) {
	t.Parallel()
	for _, platform := range platforms {
		before, after := pair(t, platform)
		recipe, held := recipeOf(t, after), heldOf(t, before)
		toSend := recipe.For(held)
		if err := toSend.Check(); err != nil {
			t.Fatal(err)
		}
		_, lacking := toSend.Lacking()
		pasts := int64(0)
		parsed := testbin.Load(t, after)
		for i := range parsed.Images {
			pasts += parsed.Images[i].Header.PackSize()
		}
		if want := int64(len(after)) - pasts; lacking != want {
			t.Errorf("%s: %d bytes are lacking, want all but the pack, %d", platform, lacking, want)
		}
		var dictionary []byte
		for _, image := range testbin.Load(t, before).Images {
			var err error
			if dictionary, err = delta.Dictionary(held[image.Header.Current.Checksum]); err != nil {
				t.Fatal(err)
			}
		}
		var sent bytes.Buffer
		w, err := delta.NewWriter(&sent, dictionary)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, toSend.Rest(bytes.NewReader(after))); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := delta.NewReader(&sent, dictionary)
		if err != nil {
			t.Fatal(err)
		}
		size := sent.Len()
		var rebuilt bytes.Buffer
		if err := toSend.Rebuild(t.Context(), &rebuilt, held, r); err != nil {
			t.Fatal(err)
		}
		r.Close()
		if !bytes.Equal(rebuilt.Bytes(), after) {
			t.Errorf("%s: the rebuilt file differs", platform)
		}
		t.Logf("%s: %d bytes of %d", platform, size, len(after))
	}
}

// TestNothingHeld holds that a host with nothing gets the whole file.
func TestNothingHeld(t *testing.T) {
	t.Parallel()
	_, after := pair(t, multiversion.PlatformX86_64Linux)
	toSend := recipeOf(t, after).For(nil)
	if extents, size := toSend.Lacking(); len(extents) != 1 || size != int64(len(after)) {
		t.Errorf("%v, %d bytes", extents, size)
	}
	var rebuilt bytes.Buffer
	if err := toSend.Rebuild(t.Context(), &rebuilt, nil, bytes.NewReader(after)); err != nil || !bytes.Equal(rebuilt.Bytes(), after) {
		t.Error("the rebuilt file differs", err)
	}
}

func TestRebuildErrors(t *testing.T) {
	t.Parallel()
	before, after := pair(t, multiversion.PlatformX86_64Linux)
	recipe, held := recipeOf(t, after), heldOf(t, before)
	rest := func() io.Reader { return recipe.Rest(bytes.NewReader(after)) }
	past := testbin.Load(t, after).Images[0].Header.Past[0]

	damaged := heldOf(t, before)
	spoilt := make([]byte, past.Size)
	io.ReadFull(io.NewSectionReader(damaged[past.Checksum], 0, int64(past.Size)), spoilt)
	spoilt[len(spoilt)/2] ^= 1
	damaged[past.Checksum] = bytes.NewReader(spoilt)

	short := heldOf(t, before)
	short[past.Checksum] = bytes.NewReader(spoilt[:10])

	var seed *delta.SeedError
	err := recipe.Rebuild(t.Context(), io.Discard, damaged, rest())
	if !errors.As(err, &seed) || seed.Checksum != past.Checksum || !errors.Is(err, delta.ErrDamaged) {
		t.Errorf("damaged: %v", err)
	}
	if err := recipe.Rebuild(t.Context(), io.Discard, short, rest()); !errors.As(err, &seed) || seed.Checksum != past.Checksum {
		t.Errorf("short: %v", err)
	}
	if err := recipe.Rebuild(t.Context(), io.Discard, nil, rest()); !errors.As(err, &seed) {
		t.Errorf("not held: %v", err)
	}
	if err := recipe.Rebuild(t.Context(), io.Discard, held, io.LimitReader(rest(), 100)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("too little: %v", err)
	}
	broken := errors.New("broken")
	if err := recipe.Rebuild(t.Context(), io.Discard, held, iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("broken: %v", err)
	}
	r, w := io.Pipe()
	r.CloseWithError(broken)
	if err := recipe.Rebuild(t.Context(), w, held, rest()); !errors.Is(err, broken) {
		t.Errorf("cannot be written: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := recipe.Rebuild(ctx, io.Discard, held, rest()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestRecipeCheck(t *testing.T) {
	t.Parallel()
	for name, recipe := range map[string]delta.Recipe{
		"empty":           {},
		"less than it is": {Size: 10, Segments: []delta.Segment{{Size: 9}}},
		"more than it is": {Size: 10, Segments: []delta.Segment{{Size: 9}, {Size: 2}}},
		"an empty one":    {Size: 10, Segments: []delta.Segment{{Size: 10}, {}}},
		"less than none":  {Size: 10, Segments: []delta.Segment{{Size: 11}, {Size: -1}}},
		"too large":       {Size: multiversion.SizeMax + 1, Segments: []delta.Segment{{Size: multiversion.SizeMax + 1}}},
		"overflow":        {Size: 10, Segments: []delta.Segment{{Size: 1 << 62}, {Size: 1 << 62}, {Size: 1 << 62}, {Size: 1<<62 + 10}}},
		"too many":        {Size: 1000, Segments: make([]delta.Segment, 1000)},
	} {
		if err := recipe.Check(); !errors.Is(err, delta.ErrRecipe) {
			t.Errorf("%s: %v, want ErrRecipe", name, err)
		}
	}
}

// TestDictionary holds that an executable that both ends hold makes what is sent smaller, that nobody reads it without that, and that
// one that cannot be read is none.
func TestDictionary(t *testing.T) {
	t.Parallel()
	held := make([]byte, 64<<10)
	rand.NewChaCha8([32]byte{1}).Read(held)
	next := append(held[:len(held):len(held)], "and what is new"...)
	sizes := make(map[bool]int)
	for _, with := range []bool{false, true} {
		var dictionary []byte
		if with {
			var err error
			if dictionary, err = delta.Dictionary(bytes.NewReader(held)); err != nil {
				t.Fatal(err)
			}
		}
		var sent bytes.Buffer
		w, err := delta.NewWriter(&sent, dictionary)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(next); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		sizes[with] = sent.Len()
		r, err := delta.NewReader(&sent, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if whole := err == nil && bytes.Equal(got, next); whole == with {
			t.Errorf("with a dictionary %v: read without it: %v, %v", with, whole, err)
		}
		r.Close()
	}
	if sizes[true]*10 > sizes[false] {
		t.Errorf("%d bytes with the dictionary, %d without", sizes[true], sizes[false])
	}
	broken := errors.New("broken")
	if _, err := delta.Dictionary(brokenSource{broken}); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
}

// brokenSource is an executable that cannot be read.
type brokenSource struct{ err error }

func (s brokenSource) ReadAt([]byte, int64) (int, error) { return 0, s.err }
func (s brokenSource) Size() int64                       { return 10 }

// FuzzReader holds that what is no stream of ours ends in an error, and takes no more than it may.
func FuzzReader(f *testing.F) {
	dictionary := bytes.Repeat([]byte("an executable of a past release, "), 100)
	var sent bytes.Buffer
	w, err := delta.NewWriter(&sent, dictionary)
	if err != nil {
		f.Fatal(err)
	}
	w.Write(bytes.Repeat([]byte("the executable of a new release, "), 100))
	w.Close()
	f.Add(sent.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := delta.NewReader(bytes.NewReader(data), dictionary)
		if err != nil {
			return
		}
		defer r.Close()
		io.Copy(io.Discard, io.LimitReader(r, 64<<20))
	})
}

// FuzzRebuild holds that a recipe from elsewhere which is well-formed makes a file of the size that it says or none, whatever comes as
// the rest, and that what a receiver lacks is never more than the file.
func FuzzRebuild(f *testing.F) {
	executable := []byte("an executable of a past release")
	hash := multiversion.NewHash()
	hash.Write(executable)
	sum := hash.Checksum()
	for _, recipe := range []delta.Recipe{
		{Size: 10, Segments: []delta.Segment{{Size: 3}, {Size: 7}}},
		{Size: 41, Segments: []delta.Segment{{Size: 4}, {Size: 31, Executable: &sum}, {Size: 6}}},
		{Size: 30, Segments: []delta.Segment{{Size: 30, Executable: &sum}}},
	} {
		text, err := json.Marshal(recipe)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, []byte("what is lacking"))
	}
	held := delta.Held{sum: bytes.NewReader(executable)}
	f.Fuzz(func(t *testing.T, text, rest []byte) {
		var recipe delta.Recipe
		if json.Unmarshal(text, &recipe) != nil || recipe.Check() != nil {
			return
		}
		reduced := recipe.For(held)
		if _, lacking := reduced.Lacking(); reduced.Check() != nil || lacking > recipe.Size {
			t.Fatalf("%+v becomes %+v", recipe, reduced)
		}
		var made bytes.Buffer
		err := reduced.Rebuild(t.Context(), &made, held, bytes.NewReader(rest))
		if size := int64(made.Len()); size > recipe.Size || err == nil && size != recipe.Size {
			t.Fatalf("%+v makes %d bytes, %v", reduced, size, err)
		}
		if _, lacking := reduced.Lacking(); err != nil && lacking <= int64(len(rest)) {
			t.Fatalf("%+v with all that it lacks: %v", reduced, err)
		}
	})
}
