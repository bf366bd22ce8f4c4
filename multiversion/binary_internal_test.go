package multiversion

import "testing"

// TestImageFor picks the image of a processor as Go names it.
func TestImageFor(t *testing.T) {
	t.Parallel()
	universal := &Binary{Images: []Image{{Layout: ImageLayout{Arch: ArchAArch64}}, {Layout: ImageLayout{Arch: ArchX86_64}}}}
	one := &Binary{Images: universal.Images[:1]}
	for _, test := range []struct {
		binary *Binary
		goarch string
		want   Arch
	}{
		{universal, "amd64", ArchX86_64}, {universal, "arm64", ArchAArch64}, {universal, "riscv64", ArchAArch64}, {one, "amd64", ArchAArch64},
	} {
		if got := test.binary.imageFor(test.goarch).Arch(); got != test.want {
			t.Errorf("%s: %s, want %s", test.goarch, got, test.want)
		}
	}
}
