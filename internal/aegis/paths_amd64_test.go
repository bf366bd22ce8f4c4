//go:build !purego

package aegis

import "golang.org/x/sys/cpu"

func paths() []path {
	return []path{
		{"avx", avx, cpu.X86.HasAES && cpu.X86.HasAVX},
		{"sse", sse, cpu.X86.HasAES},
		{"generic", generic, true},
	}
}
