//go:build linux

package testhost_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/testhost"
)

func TestHosts(t *testing.T) {
	t.Parallel()
	f := testhost.Start(t, "tb0", "tb1")
	f.Host("tb0").WriteFile("/usr/local/bin/hello", []byte("#!/bin/sh\nhostname\n"), 0o755)
	for name, want := range map[string]string{"tb0": "tb0", "tb1": "not found"} {
		output, _ := exec.Command(f.SSH[0], append(f.SSH[1:], "-o", "BatchMode=yes", name, "hello")...).CombinedOutput()
		if !strings.Contains(string(output), want) {
			t.Errorf("%s: %s, want %s", name, output, want)
		}
	}
	greeting := func() (string, error) {
		output, err := f.Host("tb0").Command("timeout", "2", "bash", "-c", "exec 3<>/dev/tcp/"+f.Host("tb1").Address+"/22; head -c 4 <&3").Output()
		return string(output), err
	}
	if output, err := greeting(); err != nil || output != "SSH-" {
		t.Errorf("hosts do not reach each other: %q, %v", output, err)
	}
	f.Host("tb1").Cut()
	if output, err := greeting(); err == nil {
		t.Errorf("a host that was cut off answers %q", output)
	}
	f.Host("tb1").Connect()
	if output, err := greeting(); err != nil || output != "SSH-" {
		t.Errorf("hosts do not reach each other again: %q, %v", output, err)
	}
	f.Host("tb1").Kill()
	if err := f.Host("tb1").Command("true").Run(); err == nil {
		t.Error("a host that was killed runs a command")
	}
}
