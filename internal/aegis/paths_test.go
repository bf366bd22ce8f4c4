package aegis

import (
	"os"
	"testing"
)

// path is an implementation as the tests see it. paths lists all that this
// build has, the fastest first, generic last.
type path struct {
	name      string
	with      implementation
	supported bool
}

func (p path) hash() *Hash {
	h := &Hash{with: p.with}
	h.Reset()
	return h
}

func (p path) sum(message []byte) [Size]byte {
	h := p.hash()
	h.Write(message)
	return h.Sum()
}

// eachPath runs test on every path that this CPU has.
func eachPath(t *testing.T, test func(t *testing.T, p path)) {
	for _, p := range paths() {
		t.Run(p.name, func(t *testing.T) {
			if !p.supported {
				t.Skip("this CPU lacks the instructions")
			}
			test(t, p)
		})
	}
}

// expectEnv names the path that the test binary must choose; TestEmulated sets
// it when it runs the binary on a CPU that it knows.
const expectEnv = "AEGIS_TEST_EXPECT"

func TestFastestIsFirstSupported(t *testing.T) {
	t.Parallel()
	var got, want string
	for _, p := range paths() {
		if p.with == fastest() {
			got = p.name
		}
		if p.supported && want == "" {
			want = p.name
		}
	}
	if expect := os.Getenv(expectEnv); expect != "" {
		want = expect
	}
	if got != want {
		t.Errorf("this CPU gets %q, want %q", got, want)
	}
}
