//go:build linux || darwin

package aegis

import (
	"os"
	"syscall"
	"testing"
)

// A message that ends where the memory ends: one byte read too far is a fault.
func TestReadsNothingBeyondTheMessage(t *testing.T) {
	t.Parallel()
	page := os.Getpagesize()
	memory, err := syscall.Mmap(-1, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Skipf("no memory map: %v", err)
	}
	t.Cleanup(func() { syscall.Munmap(memory) })
	if err := syscall.Mprotect(memory[page:], syscall.PROT_NONE); err != nil {
		t.Skipf("no guard page: %v", err)
	}
	eachPath(t, func(t *testing.T, p path) {
		for size := range 4 * blockSize {
			message := memory[page-size : page]
			copy(message, pattern(size))
			if got, want := p.sum(message), p.sum(pattern(size)); got != want {
				t.Errorf("%d bytes: got %x, want %x", size, got, want)
			}
		}
	})
}
