package aegis

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"testing"
)

func TestVectors(t *testing.T) {
	t.Parallel()
	file, err := os.Open("testdata/aegis128l.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	count := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var size int
		var want string
		if n, _ := fmt.Sscanf(lines.Text(), "%d %s", &size, &want); n != 2 {
			continue
		}
		message := make([]byte, size)
		for i := range message {
			message[i] = byte(i*7 + 3)
		}
		sum := Sum(message)
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%d bytes: got %s, want %s", size, got, want)
		}
		count++
	}
	if count < 300 {
		t.Errorf("only %d vectors", count)
	}
}

func BenchmarkSum(b *testing.B) {
	p := make([]byte, 1<<20)
	b.SetBytes(1 << 20)
	for b.Loop() {
		Sum(p)
	}
}
