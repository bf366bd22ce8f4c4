package objcopy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const helloGo = `package main

import "fmt"

func main() { fmt.Println("hello from the rebuilt executable") }
`

// input is an executable to be rebuilt.
type input struct {
	name string
	path string
}

// goInputs builds small executables with Go's own linker.
func goInputs(t testing.TB) []input {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("skipped: needs the go command: %v", err)
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "hello.go")
	if err := os.WriteFile(source, []byte(helloGo), 0o600); err != nil {
		t.Fatal(err)
	}
	var inputs []input
	for _, each := range []struct{ system, arch, flags string }{
		{"linux", "amd64", ""},
		{"linux", "amd64", "-ldflags=-s -w"},
		{"linux", "amd64", "-buildmode=pie"},
		{"linux", "arm64", ""},
		{"linux", "arm64", "-ldflags=-s -w"},
		{"windows", "amd64", ""},
		{"windows", "amd64", "-ldflags=-s -w"},
		{"windows", "arm64", ""},
		{"windows", "arm64", "-ldflags=-s -w"},
	} {
		name := strings.TrimSpace("go " + each.system + " " + each.arch + " " + each.flags)
		out := filepath.Join(dir, strings.NewReplacer(" ", "-", "=", "-").Replace(name))
		args := []string{"build", "-o", out}
		if each.flags != "" {
			args = append(args, each.flags)
		}
		command := exec.Command("go", append(args, source)...)
		command.Env = append(os.Environ(), "GOOS="+each.system, "GOARCH="+each.arch, "CGO_ENABLED=0", "GOFLAGS=", "GO111MODULE=off")
		if output, err := command.CombinedOutput(); err != nil {
			t.Logf("%s: not built: %v: %s", name, err, output)
			continue
		}
		inputs = append(inputs, input{name, out})
	}
	return inputs
}
