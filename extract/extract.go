package extract

import (
	"context"
	"fmt"
	"io"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/current"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
)

var (
	// ErrArch says that a binary holds nothing for the architecture asked
	// for, or that none was given and the binary is universal.
	ErrArch = fault.New(fault.Rejected, "architecture")

	// ErrNotIncluded is matched by every [NotIncludedError].
	ErrNotIncluded = fault.New(fault.Rejected, "release not in the binary")

	// ErrChecksum is matched by every [ChecksumError].
	ErrChecksum = fault.New(fault.Rejected, "checksum mismatch")
)

// NotIncludedError says that a binary does not hold a release. It matches [ErrNotIncluded].
type NotIncludedError struct {
	Release  multiversion.Release   `json:"release"`
	Included []multiversion.Release `json:"included"` // oldest first, the current one last
}

// Error names the release and those that there are.
func (e *NotIncludedError) Error() string {
	return fmt.Sprintf("release %s is not in the binary, which holds %v", e.Release, e.Included)
}

// Unwrap returns [ErrNotIncluded].
func (e *NotIncludedError) Unwrap() error { return ErrNotIncluded }

// ChecksumError says that what was read is not what the header describes. It
// matches [ErrChecksum].
type ChecksumError struct {
	Release multiversion.Release  `json:"release"`
	Want    multiversion.Checksum `json:"want"` // as in the header
	Found   multiversion.Checksum `json:"found"`
}

// Error names the release and both checksums.
func (e *ChecksumError) Error() string {
	return fmt.Sprintf("checksum of release %s is %s, want %s", e.Release, e.Found, e.Want)
}

// Unwrap returns [ErrChecksum].
func (e *ChecksumError) Unwrap() error { return ErrChecksum }

// Executable is one release in a binary, for one architecture. It reads from the
// binary's reader. Nothing has been compared with its checksum yet.
type Executable struct {
	Release   multiversion.Release  `json:"release"`
	Arch      multiversion.Arch     `json:"arch"`
	Current   bool                  `json:"current"`
	Visit     bool                  `json:"visit"`
	Debug     bool                  `json:"debug"`
	Size      int64                 `json:"size"`     // in bytes
	Checksum  multiversion.Checksum `json:"checksum"` // as in the header
	Commit    multiversion.Commit   `json:"git_commit"`
	ClientMin multiversion.Release  `json:"release_client_min"`

	source io.ReaderAt
}

// Open returns a release of the binary. An empty arch stands for the only one
// of an ELF or PE file. The error matches [ErrArch] or [ErrNotIncluded], or says why the
// current executable cannot be taken out.
func Open(binary *multiversion.Binary, arch multiversion.Arch, release multiversion.Release) (*Executable, error) {
	image, err := chooseImage(binary, arch)
	if err != nil {
		return nil, err
	}
	if release == image.Header.Current.Release {
		return openCurrent(binary, image)
	}
	index := image.Header.PastIndex(release)
	if index < 0 {
		return nil, &NotIncludedError{Release: release, Included: image.Header.Releases()}
	}
	return openPast(binary, image, index), nil
}

// All returns every release of the binary for arch, oldest first, the current
// one last; for "" those of each executable that a universal binary holds, one after the other. The error is one of those of Open.
func All(binary *multiversion.Binary, arch multiversion.Arch) ([]*Executable, error) {
	if arch == "" {
		var all []*Executable
		for index := range binary.Images {
			of, err := allOf(binary, &binary.Images[index])
			if err != nil {
				return nil, err
			}
			all = append(all, of...)
		}
		return all, nil
	}
	image, err := chooseImage(binary, arch)
	if err != nil {
		return nil, err
	}
	return allOf(binary, image)
}

func allOf(binary *multiversion.Binary, image *multiversion.Image) ([]*Executable, error) {
	var all []*Executable
	for index := range image.Header.Past {
		all = append(all, openPast(binary, image, index))
	}
	last, err := openCurrent(binary, image)
	if err != nil {
		return nil, err
	}
	return append(all, last), nil
}

func chooseImage(binary *multiversion.Binary, arch multiversion.Arch) (*multiversion.Image, error) {
	if arch == "" && len(binary.Images) > 1 {
		return nil, fmt.Errorf("%w: the binary is universal: choose aarch64 or x86_64", ErrArch)
	}
	if arch == "" {
		return &binary.Images[0], nil
	}
	image := binary.Image(arch)
	if image == nil {
		return nil, fmt.Errorf("%w: the binary holds nothing for %q", ErrArch, arch)
	}
	return image, nil
}

func openPast(binary *multiversion.Binary, image *multiversion.Image, index int) *Executable {
	past, extent := image.Header.Past[index], image.PastExtent(index)
	return &Executable{
		Release:   past.Release,
		Arch:      image.Arch(),
		Visit:     past.Visit,
		Debug:     past.Debug,
		Size:      extent.Size,
		Checksum:  past.Checksum,
		Commit:    past.Commit,
		ClientMin: past.ClientMin,
		source:    io.NewSectionReader(binary.Reader(), extent.Offset, extent.Size),
	}
}

func openCurrent(binary *multiversion.Binary, image *multiversion.Image) (*Executable, error) {
	header := image.Header.Current
	source, err := current.Of(binary, image.Arch())
	if err != nil {
		return nil, fmt.Errorf("extract current release %s: %w", header.Release, err)
	}
	return &Executable{
		Release:   header.Release,
		Arch:      image.Arch(),
		Current:   true,
		Visit:     header.Visit,
		Debug:     header.Debug,
		Size:      source.Size(),
		Checksum:  header.Checksum,
		Commit:    header.Commit,
		ClientMin: header.ClientMin,
		source:    source,
	}, nil
}

// Copy writes the executable to w and returns how many bytes it wrote. On nil
// they have the checksum of the header. On error w holds something that must be
// thrown away: the error matches [ErrChecksum], or is the reader's, the writer's or the context's.
func (e *Executable) Copy(ctx context.Context, w io.Writer) (int64, error) {
	hash := multiversion.NewHash()
	done, err := copyAll(ctx, io.NewSectionReader(e.source, 0, e.Size), io.MultiWriter(w, hash))
	if err != nil {
		return done, fmt.Errorf("extract release %s: %w", e.Release, err)
	}
	return done, e.compare(hash.Checksum())
}

// WriteTo implements [io.WriterTo] with Copy.
func (e *Executable) WriteTo(w io.Writer) (int64, error) { return e.Copy(context.Background(), w) }

// Verify reads the executable and compares it with its checksum. The error is
// one of those of Copy.
func (e *Executable) Verify(ctx context.Context) error {
	_, err := e.Copy(ctx, io.Discard)
	return err
}

func (e *Executable) compare(found multiversion.Checksum) error {
	if found != e.Checksum {
		return &ChecksumError{Release: e.Release, Want: e.Checksum, Found: found}
	}
	return nil
}

// copyAll copies a section of known size. One that ends early is io.ErrUnexpectedEOF.
func copyAll(ctx context.Context, from *io.SectionReader, w io.Writer) (int64, error) {
	var done int64
	err := vfs.ReadBlocks(ctx, from, 0, from.Size(), func(block []byte, _ int64) error {
		count, err := w.Write(block)
		done += int64(count)
		return err
	})
	return done, err
}
