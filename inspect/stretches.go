package inspect

import (
	"slices"

	"github.com/tbctl/tbctl/multiversion"
)

// StretchKind says what a stretch of a file holds.
type StretchKind string

// The kinds of stretches.
const (
	StretchExecutable   StretchKind = "executable"    // of the current release
	StretchPast         StretchKind = "past"          // a packed executable
	StretchHeader       StretchKind = "header"        // the multiversion header
	StretchSectionTable StretchKind = "section_table" // ELF or PE section headers, or the fat header
	StretchPadding      StretchKind = "padding"       // alignment, the body after the pack, bytes after the end
)

// Stretch is one piece of a file's map.
type Stretch struct {
	Kind    StretchKind          `json:"kind"`
	Offset  int64                `json:"offset"` // in bytes
	Size    int64                `json:"size"`   // in bytes, never 0
	Arch    multiversion.Arch    `json:"arch,omitempty"`
	Release multiversion.Release `json:"release,omitzero"` // of executable and past
}

// stretches maps the file from its first byte to its last. Where parts
// overlap, which nothing forbids, the smaller part is shown: header, section
// table, past, executable.
func stretches(binary *multiversion.Binary) []Stretch {
	parts := append(partsOf(binary), Stretch{Kind: StretchPadding, Size: binary.Size})
	edges := make([]int64, 0, 2*len(parts))
	for _, part := range parts {
		for _, edge := range [2]int64{part.Offset, part.Offset + part.Size} {
			edges = append(edges, min(max(edge, 0), binary.Size))
		}
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)

	var drawn []Stretch
	for index := range len(edges) - 1 {
		piece := Stretch{Offset: edges[index], Size: edges[index+1] - edges[index]}
		top := parts[slices.IndexFunc(parts, func(part Stretch) bool {
			return part.Offset <= piece.Offset && piece.Offset < part.Offset+part.Size
		})]
		piece.Kind, piece.Arch, piece.Release = top.Kind, top.Arch, top.Release
		if last := len(drawn) - 1; last >= 0 && drawn[last].Kind == piece.Kind && drawn[last].Arch == piece.Arch && drawn[last].Release == piece.Release {
			drawn[last].Size += piece.Size
			continue
		}
		drawn = append(drawn, piece)
	}
	return drawn
}

// partsOf returns the known parts, those that cover others first.
func partsOf(binary *multiversion.Binary) []Stretch {
	var headers, past, executables []Stretch
	for index := range binary.Images {
		image := &binary.Images[index]
		arch, current := image.Arch(), image.Header.Current.Release
		headers = append(headers, stretchOf(StretchHeader, image.Layout.Header, arch, 0))
		for index, entry := range image.Header.Past {
			past = append(past, stretchOf(StretchPast, image.PastExtent(index), arch, entry.Release))
		}
		executable := image.Layout.Executable
		if binary.Format != multiversion.FormatMachO {
			executable = multiversion.Extent{Size: image.Layout.Body.Offset}
		}
		executables = append(executables, stretchOf(StretchExecutable, executable, arch, current))
	}
	table := stretchOf(StretchSectionTable, binary.SectionTable, "", 0)
	return slices.Concat(headers, []Stretch{table}, past, executables)
}

func stretchOf(kind StretchKind, extent multiversion.Extent, arch multiversion.Arch, release multiversion.Release) Stretch {
	return Stretch{Kind: kind, Offset: extent.Offset, Size: extent.Size, Arch: arch, Release: release}
}
