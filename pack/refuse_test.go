package pack_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	const linux = multiversion.PlatformX86_64Linux
	mac := multiversion.PlatformUniversalMacOS
	release := testbin.Release
	good := testbin.Build(t, testbin.Spec{}) // 0.17.6, 0.17.7 | 0.17.8
	epoch := pack.Epoch(sources(t, linux, multiversion.ReleaseEpoch)...)
	flip := func(offset int64) []byte {
		bad := bytes.Clone(good)
		bad[offset] ^= 1
		return bad
	}
	body := testbin.Body(t, good)

	cases := []struct {
		name   string
		want   error
		change func(o *pack.Options)
	}{
		{"no current", pack.ReasonInput, func(o *pack.Options) { o.Current = nil }},
		{"no past", pack.ReasonInput, func(o *pack.Options) { o.Past = nil }},
		{"both pasts", pack.ReasonInput, func(o *pack.Options) { o.Plain = []pack.Plain{epoch} }},
		{"two currents", pack.ReasonInput, func(o *pack.Options) { o.Current = append(o.Current, o.Current...) }},
		{"release 0", pack.ReasonRelease, func(o *pack.Options) { o.Release = 0 }},
		{"past as new as current", pack.ReasonOrder, func(o *pack.Options) { o.Release = release("0.17.8") }},
		{"past newer than current", pack.ReasonOrder, func(o *pack.Options) { o.Release = release("0.17.7") }},
		{"no commit", pack.ReasonCommit, func(o *pack.Options) { o.Commit = multiversion.Commit{} }},
		{"no client min", pack.ReasonClientMin, func(o *pack.Options) { o.ClientMin = 0 }},
		{"client min newer than release", pack.ReasonClientMin, func(o *pack.Options) { o.ClientMin = release("0.18.0") }},
		{"client min older than of the past", pack.ReasonClientMin, func(o *pack.Options) { o.ClientMin = release("0.15.2") }},
		{"commit in 0.15.4", pack.ReasonCommit, func(o *pack.Options) { o.Release = multiversion.ReleaseFirst }},
		{"client min in 0.15.4", pack.ReasonClientMin, func(o *pack.Options) { o.Release, o.Commit = multiversion.ReleaseFirst, multiversion.Commit{} }},
		{"current is not an executable", pack.ReasonExecutable, func(o *pack.Options) { o.Current = []pack.Source{bytes.NewReader([]byte("#!/bin/sh\n"))} }},
		{"current is empty", pack.ReasonExecutable, func(o *pack.Options) { o.Current = []pack.Source{bytes.NewReader(nil)} }},
		{"current is cut off", pack.ReasonExecutable, func(o *pack.Options) { o.Current = []pack.Source{bytes.NewReader(good[:100])} }},
		{"current is multiversion", pack.ReasonSections, func(o *pack.Options) { o.Current = []pack.Source{bytes.NewReader(good)} }},
		{"current of another format", pack.ReasonPlatform, func(o *pack.Options) { o.Current = sources(t, mac, release("0.17.9")) }},
		{"current of another architecture", pack.ReasonPlatform, func(o *pack.Options) {
			o.Current = sources(t, multiversion.PlatformAArch64Linux, release("0.17.9"))
		}},
		{"current of two formats", pack.ReasonPlatform, func(o *pack.Options) { o.Current = append(o.Current, sources(t, mac, release("0.17.9"))...) }},
		{"one of two macOS executables", pack.ReasonInput, func(o *pack.Options) { o.Current = sources(t, mac, release("0.17.9"))[:1] }},
		{"the same macOS executable twice", pack.ReasonInput, func(o *pack.Options) {
			thin := sources(t, mac, release("0.17.9"))[0]
			o.Current = []pack.Source{thin, thin}
		}},
		{"member corrupt", pack.ReasonPastCorrupt, func(o *pack.Options) { o.Past = testbin.Load(t, flip(body.Offset+100)) }},
		{"member corrupt, file resealed", pack.ReasonPastCorrupt, func(o *pack.Options) { o.Past = testbin.Load(t, testbin.Reseal(t, flip(body.Offset+100))) }},
		{"executable corrupt", pack.ReasonPastCorrupt, func(o *pack.Options) { o.Past = testbin.Load(t, flip(5000)) }},
		{"executable corrupt, file resealed", pack.ReasonPastCorrupt, func(o *pack.Options) { o.Past = testbin.Load(t, testbin.Reseal(t, flip(5000))) }},
		{"wrong current checksum", pack.ReasonPastCorrupt, func(o *pack.Options) {
			o.Past = testbin.Load(t, testbin.Mutate(t, good, func(h []byte) { h[testbin.OffsetCurrentChecksum]++ }))
		}},
		{"plain: not ascending", pack.ReasonOrder, plain(epoch, epoch)},
		{"plain: release 0", pack.ReasonRelease, plain(pack.Plain{Executables: epoch.Executables})},
		{"plain: no commit", pack.ReasonCommit, plain(pack.Plain{Release: 5, ClientMin: 5, Executables: epoch.Executables})},
		{"plain: no client min", pack.ReasonClientMin, plain(pack.Plain{Release: 5, Commit: epoch.Commit, Executables: epoch.Executables})},
		{"plain: no executable", pack.ReasonPlatform, plain(pack.Epoch())},
		{"plain: executable twice", pack.ReasonInput, plain(pack.Epoch(append(sources(t, linux, 1), epoch.Executables...)...))},
		{"plain: other architecture", pack.ReasonPlatform, plain(pack.Epoch(sources(t, multiversion.PlatformAArch64Linux, 1)...))},
		{"plain: other format", pack.ReasonPlatform, plain(pack.Epoch(sources(t, mac, 1)...))},
		{"plain: multiversion", pack.ReasonSections, plain(pack.Epoch(bytes.NewReader(good)))},
		{"plain: not an executable", pack.ReasonExecutable, plain(pack.Epoch(bytes.NewReader([]byte("a script"))))},
		{"plain: too many", pack.ReasonCount, plain(make([]pack.Plain, 64)...)},
		{"plain: ends early", pack.ReasonRead, plain(pack.Epoch(large{epoch.Executables[0], epoch.Executables[0].Size() + 1}))},
		{"plain: cannot be read", pack.ReasonRead, plain(pack.Epoch(large{bytes.NewReader(nil), 4096}))},
		{"too large", pack.ReasonSize, plain(pack.Epoch(large{epoch.Executables[0], 64 << 20}))},
		{"far too large", pack.ReasonSize, func(o *pack.Options) {
			plain(pack.Epoch(large{epoch.Executables[0], 1 << 33}))(o)
			o.Debug = true
		}},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			options := options(t, linux, "0.17.9")
			options.Past = testbin.Load(t, good)
			test.change(&options)
			result, err := pack.Build(context.Background(), options)
			if !errors.Is(err, test.want) || result != nil {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

func plain(past ...pack.Plain) func(o *pack.Options) {
	return func(o *pack.Options) { o.Past, o.Plain = nil, past }
}

// large is a source that only says that it is that large.
type large struct {
	pack.Source
	size int64
}

func (l large) Size() int64 { return l.size }

// TestUniversalHeadersThatDiffer refuses a past binary whose headers count differently.
func TestUniversalHeadersThatDiffer(t *testing.T) {
	t.Parallel()
	good := testbin.Build(t, testbin.Spec{Platform: multiversion.PlatformUniversalMacOS})
	headers := 0
	bad := testbin.Mutate(t, good, func(h []byte) {
		if headers++; headers == 1 {
			return
		}
		binary.LittleEndian.PutUint32(h[testbin.OffsetPastCount:], 1)
		clear(h[testbin.OffsetPastReleases+4:][:4])
		clear(h[testbin.OffsetPastChecksums+16:][:16])
		clear(h[testbin.OffsetPastOffsets+4:][:4])
		clear(h[testbin.OffsetPastSizes+4:][:4])
		h[testbin.OffsetPastFlags+1] = 0
		clear(h[testbin.OffsetPastCommits+20:][:20])
		clear(h[testbin.OffsetPastClientMins+4:][:4])
	})
	options := options(t, multiversion.PlatformUniversalMacOS, "0.17.9")
	options.Past = testbin.Load(t, bad)
	if _, err := pack.Build(context.Background(), options); !errors.Is(err, pack.ReasonPastCorrupt) {
		t.Errorf("%v, want %s", err, pack.ReasonPastCorrupt)
	}
}
