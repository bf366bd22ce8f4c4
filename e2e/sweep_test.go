//go:build linux

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
)

// slack is how many bytes may come twice when a transfer goes on: one buffer.
const slack = 256 << 10

// gate bounds how many runs of the sweeps are under way at a time.
var gate = make(chan struct{}, 10)

// A yard is a server with the release, of which each run has a path of its own, so
// that the server's log tells them apart.
type yard struct {
	*nginx
	address   string
	old, next *binary
	asset     string
}

func newYard(t *testing.T) *yard {
	t.Helper()
	b := fixtures(t)
	return newYardOf(t, b.old, b.next)
}

// newYardOf serves next to hosts that have old.
func newYardOf(t *testing.T, old, next *binary) *yard {
	t.Helper()
	y := &yard{address: loopback(), old: old, next: next, asset: asset(t)}
	y.nginx = startNginx(t, "server { listen "+y.address+"; rewrite ^/p/[^/]+/(.*)$ /$1 break; }", y.address)
	y.serve("/releases/download/0.17.8/"+y.asset, y.next.zip)
	return y
}

// through makes a host whose GitHub is the yard behind a line.
func (y *yard) through(t *testing.T, l *line, name string) *host {
	t.Helper()
	h := newHost(t).install(y.old.data)
	h.set("TBCTL_GITHUB_URL=http://"+l.address+"/p/"+name, "TBCTL_API_URL=http://"+l.address+"/no-api")
	return h
}

// every runs a test at each percent of the download.
func (y *yard) every(t *testing.T, kind faultKind, check func(t *testing.T, h *host, f *fault, percent int)) {
	t.Helper()
	t.Run("percents", func(t *testing.T) {
		for percent := 1; percent < 100; percent++ {
			t.Run(strconv.Itoa(percent), func(t *testing.T) {
				t.Parallel()
				gate <- struct{}{}
				defer func() { <-gate }()
				f := &fault{kind: kind, at: int64(len(y.next.zip)) * int64(percent) / 100}
				l := newFaultyLine(t, y.address, f)
				check(t, y.through(t, l, strconv.Itoa(percent)), f, percent)
				if !f.happened.Load() {
					t.Error("the fault did not happen")
				}
			})
		}
	})
}

// wentOn fails the test unless a run that was interrupted at a place asked only for what
// was missing, by what the server says. On a busy machine a line with an idle timeout
// may also be given up before anything came, and asked for everything again.
func wentOn(t *testing.T, requests []request, total, at int64) {
	t.Helper()
	whole := 0
	for whole < len(requests) && requests[whole].status == 200 && requests[whole].rang == "" {
		whole++
	}
	if whole == 0 || whole == len(requests) {
		t.Errorf("%d of %d bytes had come; requests %+v", at, total, requests)
	}
	for _, r := range requests[whole:] {
		from, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(r.rang, "bytes="), "-"), 10, 64)
		if err != nil || r.status != 206 || r.ifRange == "" || from < at-slack || r.sent > total-at+slack {
			t.Errorf("%d of %d bytes had come, then: %+v", at, total, r)
		}
	}
}

func TestCutAtEveryPercent(t *testing.T) {
	t.Parallel()
	require(t, "nginx")
	b := fixtures(t)
	y := newYardOf(t, b.smallOld, b.smallNext)
	total := int64(len(y.next.zip))
	y.every(t, faultCut, func(t *testing.T, h *host, f *fault, percent int) {
		origin := h.run("install", "0.17.8", h.target, "--json").want(0).document().Result.Plan.Origin
		h.holds(y.next)
		if origin.Fetched > total+slack || f.body.Load() > total+slack {
			t.Errorf("fetched %d bytes (%d passed the line) of %d", origin.Fetched, f.body.Load(), total)
		}
	})
	requests := y.requests("/p/")
	for percent := 1; percent < 100; percent++ {
		wentOn(t, to(requests, fmt.Sprintf("/p/%d/releases/download/0.17.8/%s", percent, y.asset)), total, total*int64(percent)/100)
	}
}

func TestStallAtEveryPercent(t *testing.T) {
	t.Parallel()
	require(t, "nginx")
	b := fixtures(t)
	y := newYardOf(t, b.smallOld, b.smallNext)
	total := int64(len(y.next.zip))
	y.every(t, faultStall, func(t *testing.T, h *host, f *fault, percent int) {
		h.run("install", "0.17.8", h.target, "--idle-timeout", "1s").want(0, "idle timeout", "trying again")
		h.holds(y.next)
	})
	requests := y.requests("/p/")
	for percent := 1; percent < 100; percent++ {
		wentOn(t, to(requests, fmt.Sprintf("/p/%d/releases/download/0.17.8/%s", percent, y.asset)), total, total*int64(percent)/100)
	}
}

// TestFlipAtEveryPercent changes one bit. Nothing vouches for the bytes here but the
// checksums in them.
func TestFlipAtEveryPercent(t *testing.T) {
	t.Parallel()
	require(t, "nginx")
	y := newYard(t)
	var rejected atomic.Int64
	y.every(t, faultFlip, func(t *testing.T, h *host, f *fault, percent int) {
		r := h.run("install", "0.17.8", h.target)
		if r.code == 0 { // the bit has no meaning
			h.holds(y.next)
			return
		}
		rejected.Add(1)
		r.failed(3)
		h.untouched()
		if percent%10 == 0 { // what was wrong is not kept
			origin := h.run("install", "0.17.8", h.target, "--json").want(0).document().Result.Plan.Origin
			h.holds(y.next)
			if origin.Resumed != 0 {
				t.Errorf("%d bytes of a download that was wrong were used again", origin.Resumed)
			}
		}
	})
	if rejected.Load() < 90 {
		t.Errorf("only %d of 99 flipped bits were noticed", rejected.Load())
	}
}

// TestGap loses one byte on the way, so that the end of the transfer is missing.
func TestGap(t *testing.T) {
	t.Parallel()
	require(t, "nginx")
	y := newYard(t)
	for _, percent := range []int{1, 33, 66, 99} {
		t.Run(strconv.Itoa(percent), func(t *testing.T) {
			t.Parallel()
			f := &fault{kind: faultGap, at: int64(len(y.next.zip)) * int64(percent) / 100}
			h := y.through(t, newFaultyLine(t, y.address, f), strconv.Itoa(percent))
			h.run("install", "0.17.8", h.target, "--idle-timeout", "1s").failed(3)
			h.untouched()
		})
	}
}

// TestBadLines installs over lines that are bad all the time.
func TestBadLines(t *testing.T) {
	t.Parallel()
	require(t, "nginx")
	y := newYard(t)
	total := int64(len(y.next.zip))
	for _, test := range []struct {
		name  string
		toxic []string
		most  int // requests
	}{
		{"slow", []string{"bandwidth", `{"rate":500}`}, 1},
		{"late", []string{"latency", `{"latency":150,"jitter":100}`}, 1},
		{"crumbs", []string{"slicer", `{"average_size":700,"size_variation":300,"delay":100}`}, 1},
		{"slow to close", []string{"slow_close", `{"delay":2000}`}, 1},
		{"cut again and again", []string{"limit_data", `{"bytes":300000}`}, 8},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			name := strings.ReplaceAll(test.name, " ", "-")
			h := y.through(t, newLine(t, y.address, test.toxic...), name)
			origin := h.run("install", "0.17.8", h.target, "--idle-timeout", "5s", "--json").want(0).document().Result.Plan.Origin
			h.holds(y.next)
			if origin.Fetched > total+int64(test.most)*slack {
				t.Errorf("fetched %d bytes of %d", origin.Fetched, total)
			}
		})
	}
	t.Run("dead", func(t *testing.T) {
		t.Parallel()
		h := y.through(t, newLine(t, y.address, "reset_peer", `{"timeout":0}`), "dead")
		r := h.run("install", "0.17.8", h.target).failed(1, "6 attempts", "reset")
		h.untouched()
		t.Log(r.stderr)
	})
}

func otherZip(t *testing.T, b *binary) []byte {
	t.Helper()
	return testbin.Zip(t, "tigerbeetle", b.data, testbin.ZipOptions{Level: 1})
}
