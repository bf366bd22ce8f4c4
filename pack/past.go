package pack

import (
	"context"
	"fmt"
	"slices"

	"github.com/tbctl/tbctl/internal/current"
	"github.com/tbctl/tbctl/multiversion"
)

// pastKept is how many past releases of the past binary stay in the pack.
// Upstream's build script has the number (past_count in build_multiversion.zig).
const pastKept = 3

// commitFirst is the commit of release 0.15.4, whose own header lacks it.
var commitFirst = multiversion.Commit{0x14, 0xab, 0xae, 0xab, 0xd0, 0x9b, 0xd7, 0xc7, 0x8a, 0x95,
	0xb6, 0xb9, 0x90, 0x74, 0x8f, 0x36, 0x12, 0xb3, 0xe4, 0xcc}

// member is one executable of a pack.
type member struct {
	past   multiversion.Past // Offset and Size are not set yet
	source Source
}

// readPast makes the bodies and what the headers say of them.
func (b *build) readPast(ctx context.Context) error {
	if b.options.Past != nil {
		if err := b.checkPast(ctx); err != nil {
			return err
		}
	}
	for index := range b.images {
		image := &b.images[index]
		var members []member
		var err error
		if b.options.Past != nil {
			members, err = fromPast(ctx, b.options.Past, image.arch, b.options.Debug)
		} else {
			members, err = b.fromPlain(ctx, image.arch)
		}
		if err != nil {
			return err
		}
		if err := image.setPast(members); err != nil {
			return err
		}
	}
	return nil
}

// setPast lines the members up. Offsets and sizes have 32 bits in the header,
// and all that could need more is over every size limit anyway.
func (i *image) setPast(members []member) error {
	var body []Source
	var offset int64
	for _, member := range members {
		size := member.source.Size()
		if size == 0 || offset+size >= multiversion.SizeMax {
			return refuse(ReasonSize, nil, "past release %s has %d bytes at offset %d of the pack", member.past.Release, size, offset)
		}
		past := member.past
		past.Offset, past.Size = uint32(offset), uint32(size)
		i.past = append(i.past, past)
		body = append(body, member.source)
		offset += size
	}
	i.body = newSequence(body...)
	return nil
}

// checkPast requires a past binary for the same platform that is whole.
func (b *build) checkPast(ctx context.Context) error {
	past := b.options.Past
	if past.Format != b.format {
		return refuse(ReasonPlatform, nil, "the past binary is %s, the current executable %s", past.Format, b.format)
	}
	for _, image := range b.images {
		if past.Image(image.arch) == nil {
			return refuse(ReasonPlatform, nil, "the past binary is for %s, the current executable for %s", past.Images[0].Arch(), image.arch)
		}
	}
	sum, err := past.ChecksumWithoutHeader(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return refuse(ReasonRead, err, "past binary")
	}
	if want := past.Images[0].Header.ChecksumBinary; sum != want {
		return refuse(ReasonPastCorrupt, nil, "checksum of the past binary is %s, its header says %s", sum, want)
	}
	// Upstream's build asserts the same: one list of releases for both.
	if first, last := past.Images[0].Header, past.Images[len(past.Images)-1].Header; len(first.Past) != len(last.Past) {
		return refuse(ReasonPastCorrupt, nil, "the past binary has %d past releases for one architecture and %d for the other", len(first.Past), len(last.Past))
	}
	return nil
}

// fromPast takes the newest releases of the past binary's pack, and then its
// own current release, each compared with its checksum.
func fromPast(ctx context.Context, binary *multiversion.Binary, arch multiversion.Arch, debug bool) ([]member, error) {
	image := binary.Image(arch)
	kept := min(pastKept, len(image.Header.Past))
	if debug {
		kept = 0
	}
	var members []member
	for index := len(image.Header.Past) - kept; index < len(image.Header.Past); index++ {
		members = append(members, member{
			past:   image.Header.Past[index],
			source: section(binary.Reader(), image.PastExtent(index)),
		})
	}
	source, err := current.Of(binary, arch)
	if err != nil {
		return nil, refuse(ReasonPastCorrupt, err, "current executable of the past binary")
	}
	members = append(members, member{past: asPast(&image.Header.Current), source: source})
	for _, member := range members {
		name := fmt.Sprintf("release %s of the past binary", member.past.Release)
		sum, err := checksum(ctx, member.source, name)
		if err != nil {
			return nil, err
		}
		if sum != member.past.Checksum {
			return nil, refuse(ReasonPastCorrupt, nil, "checksum of %s is %s, its header says %s", name, sum, member.past.Checksum)
		}
	}
	return members, nil
}

// asPast describes a current release that becomes a past one. It must always
// be visited: upstream's replicas are only known to upgrade step by step.
func asPast(current *multiversion.Current) multiversion.Past {
	past := multiversion.Past{
		Release:   current.Release,
		Visit:     true,
		Debug:     current.Debug,
		Checksum:  current.Checksum,
		Commit:    current.Commit,
		ClientMin: current.ClientMin,
	}
	if current.Release == multiversion.ReleaseFirst {
		past.Commit, past.ClientMin = commitFirst, multiversion.ReleaseEpoch
	}
	return past
}

// fromPlain takes plain executables as they are.
func (b *build) fromPlain(ctx context.Context, arch multiversion.Arch) ([]member, error) {
	var members []member
	for _, plain := range b.options.Plain {
		name := fmt.Sprintf("past executable of release %s", plain.Release)
		source, err := b.choose(plain.Executables, arch, name)
		if err != nil {
			return nil, err
		}
		sum, err := checksum(ctx, source, name)
		if err != nil {
			return nil, err
		}
		members = append(members, member{source: source, past: multiversion.Past{
			Release:   plain.Release,
			Visit:     plain.Visit,
			Debug:     plain.Debug,
			Checksum:  sum,
			Commit:    plain.Commit,
			ClientMin: plain.ClientMin,
		}})
	}
	return members, nil
}

// choose returns the executable for arch; a universal one is for each that it lists.
func (b *build) choose(executables []Source, arch multiversion.Arch, name string) (Source, error) {
	var chosen Source
	for _, source := range executables {
		format, found, err := identify(source, name)
		if err != nil {
			return nil, err
		}
		if format != b.format {
			return nil, refuse(ReasonPlatform, nil, "%s is %s, the current executable %s", name, format, b.format)
		}
		archs := []multiversion.Arch{found}
		if found == multiversion.ArchUniversal {
			if archs, err = multiversion.UniversalArchs(source, source.Size()); err != nil {
				return nil, refuseExecutable(err, name)
			}
		}
		if !slices.Contains(archs, arch) {
			continue
		}
		if err := b.checkLimit(source.Size()); err != nil {
			return nil, err
		}
		if chosen != nil {
			return nil, refuse(ReasonInput, nil, "%s is there twice for %s", name, arch)
		}
		chosen = source
	}
	if chosen == nil {
		return nil, refuse(ReasonPlatform, nil, "%s is not there for %s", name, arch)
	}
	return chosen, nil
}
