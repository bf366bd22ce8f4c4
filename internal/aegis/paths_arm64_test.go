//go:build !purego

package aegis

import "golang.org/x/sys/cpu"

func paths() []path {
	return []path{
		{"neon", neon, cpu.ARM64.HasAES},
		{"generic", generic, true},
	}
}
