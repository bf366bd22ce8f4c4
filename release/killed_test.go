package release

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// TestKilled kills a process in the middle of its download. The next one goes on where it stopped.
func TestKilled(t *testing.T) {
	t.Parallel()
	executable := program(1<<20, 1)
	zip := zipped(t, executable)
	const at = 700_000
	s := newServer(t, map[string]*file{"/x.zip": {data: zip, etag: `"1"`, stall: []int{at}}})
	cache := newCache(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledChild$")
	cmd.Env = append(os.Environ(), "RELEASE_TEST_URL="+s.URL+"/x.zip", "RELEASE_TEST_CACHE="+cache, fmt.Sprint("RELEASE_TEST_AT=", at))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, len("there"))
	n, _ := out.Read(said)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if string(said[:n]) != "there" {
		t.Fatalf("the child said %q", said[:n])
	}
	f, b, err := fetch(t, s.URL+"/x.zip", Options{CacheDir: cache})
	if err != nil || !bytes.Equal(b, executable) {
		t.Fatal(err)
	}
	if f.BytesResumed != at-1 || f.BytesFetched != int64(len(zip)-at+1) {
		t.Errorf("%d bytes resumed, %d fetched", f.BytesResumed, f.BytesFetched)
	}
}

func TestKilledChild(t *testing.T) {
	url := os.Getenv("RELEASE_TEST_URL")
	if url == "" {
		t.Skip("this is the other half of TestKilled, which runs it")
	}
	fetch(t, url, Options{CacheDir: os.Getenv("RELEASE_TEST_CACHE"), Progress: func(p Progress) {
		if fmt.Sprint(p.Done) == os.Getenv("RELEASE_TEST_AT") {
			fmt.Print("there")
		}
	}})
}
