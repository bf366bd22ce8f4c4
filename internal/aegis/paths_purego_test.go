//go:build purego || !(amd64 || arm64)

package aegis

func paths() []path { return []path{{"generic", generic, true}} }
