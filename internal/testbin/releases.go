package testbin

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// SuccessiveMax is the most builds that [Successive] makes.
const SuccessiveMax = 3

// successive are the builds of a test process, each made once.
var successive [SuccessiveMax]program

// additions are packages that a build has and the one before it has not: all that the linker puts after them moves, as
// it does from one release of a program to the next.
var additions = [SuccessiveMax][]string{{}, {"encoding/csv"}, {"encoding/csv", "text/tabwriter"}}

// Successive returns so many builds of a program of several megabytes for this host, of which each differs from the one before it as
// the next release does: functions are new, others have changed, and a package is linked that was not. It skips the test
// where there is no go command.
func Successive(tb testing.TB, count int) [][]byte {
	tb.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		tb.Skipf("skipped: building the fixture needs the go command: %v", err)
	}
	builds := make([][]byte, count)
	for number := range builds {
		built := &successive[number]
		built.once.Do(func() { built.data, built.err = buildLarge(number) })
		if built.err != nil {
			tb.Fatalf("build the large fixture: %v", built.err)
		}
		builds[number] = bytes.Clone(built.data)
	}
	return builds
}

// buildLarge builds the program of this number.
func buildLarge(number int) ([]byte, error) {
	dir, err := os.MkdirTemp("", "testbin")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(largeSource(number)), 0o600); err != nil {
		return nil, err
	}
	return goBuild(dir)
}

// largeSource is a program that serves and renders, with a function for each of many requests; every eighth of
// them is another one in each build.
func largeSource(number int) string {
	var imports, uses, functions, table strings.Builder
	for _, path := range additions[number] {
		fmt.Fprintf(&imports, "\t%q\n", path)
		fmt.Fprintf(&uses, "\tkeep(%s.NewWriter)\n", path[strings.LastIndexByte(path, '/')+1:])
	}
	for each := range 400 + 10*number {
		changed := 0
		if each%8 == number {
			changed = number
		}
		fmt.Fprintf(&functions, "func request%d(in []string) int {\n\tsum := %d\n\tfor at, word := range in {\n\t\tsum += at*%d + len(word)\n\t}\n", each, each*each, each+3)
		for step := range changed + each%5 {
			fmt.Fprintf(&functions, "\tif sum%%%d == %d {\n\t\tfmt.Println(sum, in, %d)\n\t}\n", step+7, step, each+step)
		}
		functions.WriteString("\treturn sum\n}\n\n")
		fmt.Fprintf(&table, "\trequest%d,\n", each)
	}
	return "package main\n\nimport (\n\t\"fmt\"\n\t\"net/http\"\n\t\"os\"\n\t\"reflect\"\n\t\"text/template\"\n" + imports.String() + ")\n\n" +
		"var requests = []func([]string) int{\n" + table.String() + "}\n\n" + functions.String() +
		"func keep(value any) { fmt.Println(reflect.TypeOf(value)) }\n\nfunc main() {\n" + uses.String() +
		"\tfor _, request := range requests {\n\t\trequest(os.Args)\n\t}\n" +
		"\tkeep(template.Must(template.New(\"\").Parse(\"{{.}}\")))\n\tkeep(http.ListenAndServe(\"\", nil))\n}\n"
}
