package inspect

import (
	"fmt"

	"github.com/tbctl/tbctl/multiversion"
)

// Remark is something that TigerBeetle accepts but an operator should know.
type Remark struct {
	Name    string               `json:"name"`
	Detail  string               `json:"detail"`
	Offset  int64                `json:"offset"` // in bytes from the start of the file
	Arch    multiversion.Arch    `json:"arch,omitempty"`
	Release multiversion.Release `json:"release,omitzero"`
}

// The names of the remarks.
const (
	RemarkDebug       = "debug-build"        // a release was built for debugging
	RemarkClientMin   = "client-min-above"   // a client minimum newer than its release
	RemarkReserved    = "reserved-not-zero"  // fields that this version does not know
	RemarkTrailing    = "bytes-after-end"    // bytes after the last part of the file
	RemarkBody        = "body-longer"        // ELF: bytes in the body after the pack
	RemarkTestRelease = "test-release"       // 65535.x.x runs on cluster 0 alone
	RemarkImages      = "images-differ"      // Mach-O: the architectures hold different releases
	RemarkSize        = "size-limit"         // a replica crashes on a file of this size
	RemarkExecutable  = "executable-missing" // Mach-O: no executable for an architecture that has a header
)

func remarks(binary *multiversion.Binary) []Remark {
	var all []Remark
	for index := range binary.Images {
		all = append(all, imageRemarks(binary.Format, &binary.Images[index])...)
	}
	first, last := &binary.Images[0].Header, &binary.Images[len(binary.Images)-1].Header
	if a, b := releasesText(first), releasesText(last); a != b {
		all = append(all, Remark{
			Name: RemarkImages, Arch: binary.Images[1].Arch(), Offset: binary.Images[1].Layout.Header.Offset,
			Detail: fmt.Sprintf("holds %s, but for %s the file holds %s", b, binary.Images[0].Arch(), a),
		})
	}
	if end := endOf(binary); end < binary.Size {
		all = append(all, Remark{Name: RemarkTrailing, Offset: end, Detail: fmt.Sprintf("%d bytes follow the last known part of the file", binary.Size-end)})
	}
	if limit := multiversion.SizeLimit(binary.Format, binary.Debug()); binary.Size >= limit {
		all = append(all, Remark{Name: RemarkSize, Detail: fmt.Sprintf("%d bytes: a replica crashes on a file of %d bytes or more", binary.Size, limit)})
	}
	return all
}

func imageRemarks(format multiversion.Format, image *multiversion.Image) []Remark {
	header, arch, at := &image.Header, image.Arch(), image.Layout.Header.Offset
	var all []Remark
	add := func(name string, offset int64, release multiversion.Release, detail string, args ...any) {
		all = append(all, Remark{Name: name, Offset: offset, Arch: arch, Release: release, Detail: fmt.Sprintf(detail, args...)})
	}
	for _, past := range header.Past {
		if past.Debug {
			add(RemarkDebug, at, past.Release, "past release %s is a debug build", past.Release)
		}
		if past.ClientMin > past.Release {
			add(RemarkClientMin, at, past.Release, "past release %s asks for clients of %s or newer, which is newer than itself", past.Release, past.ClientMin)
		}
		if past.Release.Test() {
			add(RemarkTestRelease, at, past.Release, "past release %s is a test release: it runs on cluster 0 alone", past.Release)
		}
	}
	current := header.Current
	if current.Debug {
		add(RemarkDebug, at, current.Release, "current release %s is a debug build", current.Release)
	}
	if current.ClientMin > current.Release {
		add(RemarkClientMin, at, current.Release, "current release %s asks for clients of %s or newer, which is newer than itself", current.Release, current.ClientMin)
	}
	if current.Release.Test() {
		add(RemarkTestRelease, at, current.Release, "current release %s is a test release: it runs on cluster 0 alone", current.Release)
	}
	for index, value := range header.Reserved {
		if value != 0 {
			add(RemarkReserved, at+multiversion.OffsetReserved+int64(index), 0, "reserved bytes of the header are not zero: a newer TigerBeetle may know fields that this tool does not")
			break
		}
	}
	pack := header.PackSize()
	if format == multiversion.FormatELF && pack < image.Layout.Body.Size {
		add(RemarkBody, image.Layout.Body.Offset+pack, 0, "the body has %d bytes after the pack", image.Layout.Body.Size-pack)
	}
	if format == multiversion.FormatMachO && image.Layout.Executable.Size == 0 {
		add(RemarkExecutable, 0, current.Release, "the fat header gives no executable for %s inside the file", arch)
	}
	return all
}

// releasesText lists what a header holds, to be compared and shown.
func releasesText(header *multiversion.Header) string {
	return fmt.Sprint(header.Releases())
}

// endOf returns the offset after the last part of the file that is known.
func endOf(binary *multiversion.Binary) int64 {
	var end int64
	for _, part := range partsOf(binary) {
		end = max(end, part.Offset+part.Size)
	}
	for index := range binary.Images {
		end = max(end, binary.Images[index].Layout.Body.End())
	}
	return end
}
