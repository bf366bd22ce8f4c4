package replica

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
)

func TestParseAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"3000":                   "127.0.0.1:3000",
		"0":                      "127.0.0.1:0",
		"10.0.0.1:3000":          "10.0.0.1:3000",
		"10.0.0.1":               "10.0.0.1:3001",
		"[::1]:3000":             "[::1]:3000",
		"[2001:db8::2]":          "[2001:db8::2]:3001",
		"[::ffff:10.0.0.1]:3000": "10.0.0.1:3000",
		"3001,3002,3003":         "127.0.0.1:3001 127.0.0.1:3002 127.0.0.1:3003",
		"10.0.0.1:1,[::1]:2,3":   "10.0.0.1:1 [::1]:2 127.0.0.1:3",
		strings.TrimSuffix(strings.Repeat("9,", 12), ","): strings.TrimSpace(strings.Repeat("127.0.0.1:9 ", 12)),
	} {
		got, err := parseAddresses(text)
		if members := (&Process{Addresses: text}).Members(); members != len(got) {
			t.Errorf("%q: %d members", text, members)
		}
		var words []string
		for _, address := range got {
			words = append(words, address.String())
		}
		if err != nil || strings.Join(words, " ") != want {
			t.Errorf("%q: %v, %v, want %s", text, words, err, want)
		}
	}
	for _, text := range []string{
		"", ",", "3000,", ",3000", " 3000", "+3000", "-1", "65536", "3000x", "localhost:3000", "localhost", "10.0.0.1:", ":3000", "10.0.0:3000",
		"::1:3000", "::1", "[::1", "[::1]3000", "[10.0.0.1]:3000", "[fe80::1%lo]:3000", "[::1]:3000]", "10.0.0.1:3000:1", strings.Repeat("9,", 12) + "9",
		strings.Repeat("9", 1000), "[" + strings.Repeat(":", 1000) + "]",
	} {
		if got, err := parseAddresses(text); !errors.Is(err, ErrAddresses) || got != nil || len(err.Error()) > 300 {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func FuzzParseAddresses(f *testing.F) {
	f.Add("3000,10.0.0.1:3000,[::1]:2,[::1],10.0.0.1")
	f.Fuzz(func(t *testing.T, text string) {
		addresses, err := parseAddresses(text)
		if err != nil {
			return
		}
		var words []string
		for _, address := range addresses {
			if !address.IsValid() {
				t.Fatalf("%q: %v", text, addresses)
			}
			words = append(words, address.String())
		}
		if again, err := parseAddresses(strings.Join(words, ",")); err != nil || !slices.Equal(again, addresses) {
			t.Errorf("%q: %v, and again %v, %v", text, addresses, again, err)
		}
	})
}

// Nobody else's port is asked.
func TestAddress(t *testing.T) {
	t.Parallel()
	own := func() ([]net.Addr, error) {
		return []net.Addr{&net.IPNet{IP: net.IPv4(10, 0, 0, 2), Mask: net.CIDRMask(24, 32)}, &net.IPNet{IP: net.ParseIP("2001:db8::2"), Mask: net.CIDRMask(64, 128)}}, nil
	}
	failing := func() ([]net.Addr, error) { return nil, errors.New("no netlink") }
	good := func() *Process {
		return &Process{
			PID: 7, Replica: true, Addresses: "10.0.0.1:3000,10.0.0.2:3000,10.0.0.3:3000", Listens: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:3000")},
			Superblock: &datafile.Superblock{ReplicaIndex: 1, ReplicaCount: 3, Release: release0178}, network: networkOurs,
		}
	}
	listens := func(addresses, at string) func(p *Process) {
		return func(p *Process) {
			p.Addresses, p.Superblock.ReplicaIndex, p.Listens = addresses, 0, []netip.AddrPort{netip.MustParseAddrPort("192.0.2.9:1"), netip.MustParseAddrPort(at)}
		}
	}
	for _, test := range []struct {
		name   string
		change func(p *Process)
		own    func() ([]net.Addr, error)
		want   string // the address, or a part of the reason
	}{
		{"its own", func(*Process) {}, own, "10.0.0.2:3000"},
		{"loopback", listens("3000", "127.0.0.1:3000"), failing, "127.0.0.1:3000"},
		{"another loopback", listens("127.9.8.7:3000", "127.9.8.7:3000"), failing, "127.9.8.7:3000"},
		{"IPv6", listens("[2001:db8::2]:3000", "[2001:db8::2]:3000"), own, "[2001:db8::2]:3000"},
		{"on every address", listens("10.0.0.2:3000", "0.0.0.0:3000"), own, "10.0.0.2:3000"},
		{"every address", listens("0.0.0.0:3000", "0.0.0.0:3000"), failing, "127.0.0.1:3000"},
		{"every IPv6 address", listens("[::]:3000", "[::]:3000"), failing, "[::1]:3000"},
		{"no replica", func(p *Process) { p.Replica = false }, own, "no replica"},
		{"no data file", func(p *Process) { p.Superblock = nil }, own, "its data file could not be read"},
		{"no member", func(p *Process) { p.Superblock.ReplicaIndex = -1 }, own, "does not say which replica"},
		{"a standby", func(p *Process) { p.Superblock.Standby = true }, own, "it is a standby"},
		{"too old", func(p *Process) { p.Superblock.Release = multiversion.NewRelease(0, 15, 4) }, own, "release 0.15.4 may not answer: 0.16.0 and later do"},
		{"runs what is too old", func(p *Process) { p.Running = Running{Release: multiversion.NewRelease(0, 15, 4), Certain: true} }, own, "release 0.15.4 may not answer"},
		{"another network", func(p *Process) { p.network = networkOther }, own, "another network namespace"},
		{"no network", func(p *Process) { p.network = networkUnknown }, own, "its sockets cannot be seen"},
		{"no addresses", func(p *Process) { p.Addresses = "" }, own, "its --addresses"},
		{"a name", func(p *Process) { p.Addresses = "a:1,b:1,c:1" }, own, "its --addresses"},
		{"too few", func(p *Process) { p.Addresses = "10.0.0.2:3000" }, own, "it is replica 1, and --addresses names 1"},
		{"listens elsewhere", func(p *Process) { p.Listens = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:3001")} }, own, "it does not listen on 10.0.0.2:3000"},
		{"listens on another address", listens("10.0.0.2:3000", "127.0.0.1:3000"), own, "it does not listen on 10.0.0.2:3000"},
		{"listens nowhere", func(p *Process) { p.Listens = nil }, own, "it does not listen"},
		{"another host's address", listens("10.0.0.9:3000", "10.0.0.9:3000"), own, "10.0.0.9 is no address of this host"}, // ip_nonlocal_bind
		{"this host's addresses are not known", func(*Process) {}, failing, "this host's addresses: no netlink"},
	} {
		process := good()
		test.change(process)
		address, err := process.address(test.own)
		failure, isCannot := errors.AsType[*CannotAskError](err)
		if err == nil && address.String() == test.want || isCannot && failure.PID == 7 && strings.Contains(err.Error(), test.want) {
			continue
		}
		t.Errorf("%s: %s, %v, want %s", test.name, address, err, test.want)
	}
}
