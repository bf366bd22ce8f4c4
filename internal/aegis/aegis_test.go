package aegis

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"testing"
)

var _ io.Writer = (*Hash)(nil)

// pattern returns the message of the vectors, size bytes.
func pattern(size int) []byte {
	message := make([]byte, size)
	for i := range message {
		message[i] = byte(i*7 + 3)
	}
	return message
}

type vector struct {
	size int
	sum  string
}

// vectors returns what upstream's own code computed: the size of a message of
// [pattern] and its checksum.
func vectors(t testing.TB) []vector {
	file, err := os.Open("testdata/aegis128l.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []vector
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if lines.Text()[0] == '#' {
			continue
		}
		var v vector
		if _, err := fmt.Sscanf(lines.Text(), "%d %s", &v.size, &v.sum); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		all = append(all, v)
	}
	if lines.Err() != nil || len(all) < 300 {
		t.Fatalf("%d vectors, error %v", len(all), lines.Err())
	}
	return all
}

func TestVectors(t *testing.T) {
	t.Parallel()
	all := vectors(t)
	message := pattern(all[len(all)-1].size)
	eachPath(t, func(t *testing.T, p path) {
		t.Parallel()
		for _, v := range all {
			if testing.Short() && v.size > 2<<20 {
				continue
			}
			sum := p.sum(message[:v.size])
			if got := hex.EncodeToString(sum[:]); got != v.sum {
				t.Errorf("%d bytes: got %s, want %s", v.size, got, v.sum)
			}
		}
	})
}

func TestSumAndNewUseTheFastestPath(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		if v.size > 2<<20 {
			continue
		}
		message := pattern(v.size)
		sum := Sum(message)
		h := New()
		if n, err := h.Write(message); n != v.size || err != nil {
			t.Fatalf("Write of %d bytes: %d, %v", v.size, n, err)
		}
		if got := hex.EncodeToString(sum[:]); got != v.sum || h.Sum() != sum {
			t.Errorf("%d bytes: Sum %s, Hash.Sum %x, want %s", v.size, got, h.Sum(), v.sum)
		}
	}
}

func TestZeros(t *testing.T) {
	t.Parallel()
	known := map[int64]string{
		0:  "83cc600dc4e3e7e62d4055826174f149",
		16: "f72ad48dd05dd1656133101cd4be3a26",
	}
	sizes := []int64{0, 1, 16, 31, 32, 33, zerosSize - 1, zerosSize, zerosSize + 1, 8192, 3*zerosSize + 7}
	eachPath(t, func(t *testing.T, p path) {
		for _, size := range sizes {
			// Around the zeros is what makes them start and end inside a block.
			for _, around := range []int{0, 1, 31, 32, 77} {
				h, want := p.hash(), p.hash()
				h.Write(pattern(around))
				h.WriteZeros(size)
				h.Write(pattern(around))
				want.Write(pattern(around))
				want.Write(make([]byte, size))
				want.Write(pattern(around))
				got := h.Sum()
				if got != want.Sum() {
					t.Errorf("%d zeros between %d bytes: got %x, want %x", size, around, got, want.Sum())
				}
				if known, ok := known[size]; ok && around == 0 && hex.EncodeToString(got[:]) != known {
					t.Errorf("%d zeros: got %x, want %s", size, got, known)
				}
			}
		}
		h := p.hash()
		h.WriteZeros(-1)
		h.WriteZeros(-1 << 63)
		if h.Sum() != p.sum(nil) {
			t.Error("a negative number of zeros changed the checksum")
		}
	})
}

func TestUnaligned(t *testing.T) {
	t.Parallel()
	const size = 5*blockSize + 9
	eachPath(t, func(t *testing.T, p path) {
		want := p.sum(pattern(size))
		buffer := make([]byte, size+2*blockSize)
		for offset := range 2 * blockSize {
			message := buffer[offset : offset+size]
			copy(message, pattern(size))
			if got := p.sum(message); got != want {
				t.Errorf("offset %d: got %x, want %x", offset, got, want)
			}
		}
	})
}

func TestEverySplit(t *testing.T) {
	t.Parallel()
	const size = 3*blockSize + 5
	message := pattern(size)
	eachPath(t, func(t *testing.T, p path) {
		want := p.sum(message)
		for first := range size + 1 {
			for second := first; second <= size; second++ {
				h := p.hash()
				h.Write(message[:first])
				h.Write(message[first:second])
				h.Write(message[second:])
				if got := h.Sum(); got != want {
					t.Fatalf("split at %d and %d: got %x, want %x", first, second, got, want)
				}
			}
		}
	})
}

// A call of assembly ends after chunkSize bytes: what is on both sides of the
// end must be joined.
func TestChunks(t *testing.T) {
	t.Parallel()
	message := pattern(2*chunkSize + 3*blockSize)
	eachPath(t, func(t *testing.T, p path) {
		for _, size := range []int{chunkSize - 1, chunkSize, chunkSize + 1, chunkSize + blockSize, 2 * chunkSize, len(message)} {
			byBlock := p.hash()
			for rest := message[:size]; len(rest) > 0; {
				n := min(len(rest), blockSize)
				byBlock.Write(rest[:n])
				rest = rest[n:]
			}
			if got, want := p.sum(message[:size]), byBlock.Sum(); got != want {
				t.Errorf("%d bytes: got %x at once, %x by blocks", size, got, want)
			}
		}
	})
}

func TestSumThenContinue(t *testing.T) {
	t.Parallel()
	message := pattern(4 * blockSize)
	eachPath(t, func(t *testing.T, p path) {
		h := p.hash()
		for size, b := range message {
			first, second := h.Sum(), h.Sum()
			if want := p.sum(message[:size]); first != want || second != want {
				t.Fatalf("%d bytes: got %x, then %x, want %x", size, first, second, want)
			}
			h.Write([]byte{b})
		}
	})
}

func TestResetAndCopy(t *testing.T) {
	t.Parallel()
	message := pattern(100)
	eachPath(t, func(t *testing.T, p path) {
		h := p.hash()
		h.Write(message[:50])
		branch := *h
		branch.Write(message[50:])
		if branch.Sum() != p.sum(message) || h.Sum() != p.sum(message[:50]) {
			t.Error("a copy and its original disturb each other")
		}
		h.Reset()
		if h.Sum() != p.sum(nil) {
			t.Error("after Reset the checksum is not that of the empty message")
		}
		h.Write(message)
		if h.Sum() != p.sum(message) {
			t.Error("after Reset and Write the checksum is wrong")
		}
	})
}

// Write must leave p alone, as io.Writer demands, on every path.
func TestWriteLeavesItsArgument(t *testing.T) {
	t.Parallel()
	eachPath(t, func(t *testing.T, p path) {
		message := pattern(3*blockSize + 1)
		p.sum(message)
		if string(message) != string(pattern(len(message))) {
			t.Error("Write changed its argument")
		}
	})
}

// Not parallel: AllocsPerRun counts every goroutine's allocations.
func TestNoAllocations(t *testing.T) {
	message := pattern(1000)
	total := byte(0)
	eachPath(t, func(t *testing.T, p path) {
		h := p.hash()
		stream := func() {
			h.Reset()
			h.Write(message)
			h.WriteZeros(8192)
			h.Write(message[:7])
			sum := h.Sum()
			total ^= sum[0]
		}
		if n := testing.AllocsPerRun(100, stream); n != 0 {
			t.Errorf("streaming: %v allocations", n)
		}
	})
	once := func() {
		var local [77]byte
		sum := Sum(local[:])
		total ^= sum[0]
	}
	if n := testing.AllocsPerRun(100, once); n != 0 {
		t.Errorf("Sum of a local array: %v allocations", n)
	}
}
