package inventory

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/fleet"
)

func TestExpandHosts(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"tb0":                "tb0",
		"tb[0-2].eu":         "tb0.eu tb1.eu tb2.eu",
		"tb[01,08-10]":       "tb01 tb08 tb09 tb10",
		"r[1-2]-tb[0-1]":     "r1-tb0 r1-tb1 r2-tb0 r2-tb1",
		"root@db-1.internal": "root@db-1.internal",
		"fe80::1%eth0":       "fe80::1%eth0",
		"_gateway":           "_gateway",
	} {
		got, err := expandHosts(pattern)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v, %v, want %s", pattern, got, err, want)
		}
	}
	for _, pattern := range []string{
		"", "-oProxyCommand=x", "tb[0-1", "tb[]", "tb[a-b]", "tb[2-1]", "tb[0-1000]", "a[0-99]b[0-99]", "tb 0", "tb0;x", "tb[0-1],", "[0-1]]",
		"tb[0--1]", "tb[1,]", "tb[1234567]", strings.Repeat("a", 256), "tb\x00", "[-1]x", "tb\n", "root@-x", "root@", "@tb0", "-l@tb0", "a@b@-c",
	} {
		if got, err := expandHosts(pattern); err == nil {
			t.Errorf("%q: %v, want an error", pattern, got)
		}
	}
}

const inventoryText = `become    = ["sudo", "-n"]
state     = "etcd://etcd1:2379/tbctl"
artifacts = "oci://registry.internal/tigerbeetle"

[[cluster]]
name  = "ledger-test"
hosts = ["tb[0-1].test"]
soak  = "2h"

[[cluster]]
name  = "ledger-eu"
hosts = ["tb[0-1].eu", "tb3.eu"]
wave  = 5
[cluster.at."tb3.eu"]
target  = "/opt/tigerbeetle/tigerbeetle"
depot   = "10.1.0.3:3443"
`

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := Parse("fleet.toml", []byte(inventoryText))
	want := &fleet.Inventory{
		Become: []string{"sudo", "-n"}, State: "etcd://etcd1:2379/tbctl", Artifacts: "oci://registry.internal/tigerbeetle",
		Clusters: []fleet.Cluster{
			{Name: "ledger-test", Hosts: []fleet.Host{{Name: "tb0.test"}, {Name: "tb1.test"}}, Soak: 2 * time.Hour, Wave: 1},
			{Name: "ledger-eu", Hosts: []fleet.Host{
				{Name: "tb0.eu"}, {Name: "tb1.eu"}, {Name: "tb3.eu", Target: "/opt/tigerbeetle/tigerbeetle", Depot: "10.1.0.3:3443"},
			}, Wave: 5},
		},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestInventoryMistakes holds that each mistake is told with its line and its key.
func TestInventoryMistakes(t *testing.T) {
	t.Parallel()
	const cluster = "[[cluster]]\nname = 'a'\nhosts = ['tb0']\n"
	for _, test := range []struct {
		name, text string
		line       int
		key        string
	}{
		{"no TOML", "become = \n", 1, ""},
		{"an unknown key", cluster + "host = 'x'\n", 4, "cluster.host"},
		{"an unknown key of a later cluster", cluster + "[[cluster]]\nname = 'b'\nhosts = ['x']\ncolour = 1\n", 7, "cluster.colour"},
		{"an unknown key of a host", cluster + "[cluster.at.tb0]\ntargt = '/a'\n", 5, "cluster.at.tb0.targt"},
		{"another kind", cluster + "wave = 'first'\n", 4, "cluster.wave"},
		{"a word in place of a list", "become = 'sudo'\n", 1, "become"},
		{"not a duration", cluster + "soak = '2 hours'\n", 4, "cluster.soak"},
		{"less than nothing", cluster + "soak = '-2h'\n", 4, "cluster.soak"},
		{"a key twice", cluster + "name = 'b'\n", 4, "name"},
		{"an empty command", "become = ['']\n", 1, "become"},
		{"no name", "[[cluster]]\nhosts = ['tb0']\n", 1, "cluster.name"},
		{"a name that is none", "[[cluster]]\nhosts = ['tb0']\nname = '-a'\n", 3, "cluster.name"},
		{"no hosts", cluster + "[[cluster]]\nname = 'b'\n", 4, "cluster.hosts"},
		{"a wave before the first", cluster + "wave = -1\n", 4, "cluster.wave"},
		{"a pattern that is none", cluster + "[[cluster]]\nname = 'b'\nhosts = [\n'tb[1',\n]\n", 6, "cluster.hosts"},
		{"a host twice", "[[cluster]]\nname = 'a'\nhosts = ['tb[0-2]', 'tb1']\n", 3, "cluster.hosts"},
		{"too many hosts", "[[cluster]]\nname = 'a'\nhosts = ['tb[0-12]']\n", 3, "cluster.hosts"},
		{"two clusters of one name", cluster + "[[cluster]]\nname = 'a'\nhosts = ['x']\n", 5, "cluster.name"},
		{"two clusters on one host", cluster + "[[cluster]]\nname = 'b'\nhosts = ['x', 'tb0']\n", 6, "cluster.hosts"},
		{"two clusters on one host, and one names its target", cluster + "[[cluster]]\nname = 'b'\nhosts = ['x', 'tb0']\n[cluster.at.tb0]\ntarget = '/a'\n", 6, "cluster.hosts"},
		{"two clusters on one target", cluster + "[cluster.at.tb0]\ntarget = '/a'\n[[cluster]]\nname = 'b'\nhosts = ['tb0']\n[cluster.at.tb0]\ntarget = '/a'\n", 8, "cluster.hosts"},
		{"settings of a host that is none", cluster + "[cluster.at.tb1]\ntarget = '/a'\n", 4, "cluster.at.tb1"},
		{"a relative target", cluster + "[cluster.at.tb0]\ntarget = 'a'\n", 5, "cluster.at.tb0.target"},
		{"a target that is not clean", cluster + "[cluster.at.tb0]\ntarget = '/a/../b'\n", 5, "cluster.at.tb0.target"},
		{"a depot without a port", cluster + "at.tb0.depot = '10.0.0.1'\n", 4, "cluster.at.tb0.depot"},
	} {
		_, err := Parse("fleet.toml", []byte(test.text))
		var wrong *Error
		if !errors.As(err, &wrong) {
			t.Errorf("%s: %v, want an *Error", test.name, err)
			continue
		}
		if wrong.Line != test.line || wrong.Key != test.key {
			t.Errorf("%s: line %d, key %q, want %d, %q: %v", test.name, wrong.Line, wrong.Key, test.line, test.key, err)
		}
	}
	if _, err := Parse("fleet.toml", make([]byte, SizeMax+1)); err == nil {
		t.Error("an inventory of any size is read")
	}
}

// TestEveryMistake: all mistakes of a file are told, each once and in the order of their lines, whatever they are; of a file that
// is full of them the first.
func TestEveryMistake(t *testing.T) {
	t.Parallel()
	_, err := Parse("fleet.toml", []byte(`become = "sudo"
colour = 1
[[cluster]]
name = "-a"
hosts = ["tb0", "tb[1", "tb0"]
soak = "2 hours"
wave = "first"
[cluster.at.tb9]
target = "a"
depot = 1
[[cluster]]
hosts = [1]
state = "x"
at = 1
`))
	const want = `fleet.toml:1: become: must be a list of texts in quotes, as ["one", "two"]
fleet.toml:2: colour: not a key of an inventory
fleet.toml:4: cluster.name: "-a": at most 64 letters, digits and . _ -, the first a letter or digit
fleet.toml:5: cluster.hosts: host "tb[1": a bracket is not closed
fleet.toml:5: cluster.hosts: tb0 is named twice
fleet.toml:6: cluster.soak: "2 hours" is no time: write it as "2h30m" or "90s"
fleet.toml:7: cluster.wave: must be a number, as 1
fleet.toml:9: cluster.at.tb9.target: "a": write the whole path, from / on
fleet.toml:10: cluster.at.tb9.depot: must be a text in quotes, as "text"
fleet.toml:11: cluster.name: a cluster needs a name
fleet.toml:12: cluster.hosts: must be a list of texts in quotes, as ["one", "two"]
fleet.toml:13: cluster.state: not a key of an inventory
fleet.toml:14: cluster.at: must be a table, as [cluster.at."host"]`
	if err == nil || err.Error() != want {
		t.Errorf("%v, want\n%s", err, want)
	}
	_, err = Parse("fleet.toml", []byte(strings.Repeat("[[cluster]]\nname = 1\n", 100)))
	var all Errors
	if !errors.As(err, &all) || len(all) != MistakesMax || !strings.HasSuffix(err.Error(), "\nwhat else is wrong is not told") {
		t.Errorf("a file full of mistakes: %v", err)
	}
	for text, want := range map[string]string{
		"cluster = 1\n":              "fleet.toml:1: cluster: must be tables, each begun by [[cluster]]",
		"cluster = [1]\n":            "fleet.toml:1: cluster: must be tables, each begun by [[cluster]]",
		"ssh = [\"ssh\", 1]\n":       `fleet.toml:1: ssh: must be a list of texts in quotes, as ["one", "two"]`,
		"state = x\n":                "fleet.toml:1: not TOML: ",
		"state = 'a'\nstate = 'b'\n": "fleet.toml:2: state: not TOML: ",
	} {
		if _, err := Parse("fleet.toml", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "toml: key") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(inventoryText))
	f.Add([]byte("[[cluster]]\nname = 'a'\nhosts = ['tb0']\nat.tb0.depot = '10.0.0.1'\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		inventory, err := Parse("fleet.toml", text)
		if err != nil {
			var wrong *Error
			if !errors.As(err, &wrong) || wrong.Line < 0 || wrong.Line > 1+strings.Count(string(text), "\n") {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, cluster := range inventory.Clusters {
			if cluster.Name == "" || cluster.Wave < 1 || len(cluster.Hosts) == 0 || len(cluster.Hosts) > ClusterHostsMax {
				t.Fatalf("%+v", cluster)
			}
		}
	})
}

// TestSharedHost holds that two clusters may share a host when each names its target there, and that it is told where both are
// when they may share a target.
func TestSharedHost(t *testing.T) {
	t.Parallel()
	text := func(first, second string) []byte {
		at := func(target string) string {
			if target == "" {
				return ""
			}
			return "[cluster.at.tb0]\ntarget = '" + target + "'\n"
		}
		return []byte("[[cluster]]\nname = 'a'\nhosts = ['tb0']\n" + at(first) + "[[cluster]]\nname = 'b'\nhosts = ['tb0']\n" + at(second))
	}
	for targets, want := range map[[2]string]string{
		{"/a", "/b"}: "",
		{"/a", "/a"}: "tb0 is a host of a too, in line 3, with the same target",
		{"/a", ""}:   `tb0 is a host of a too, in line 3, and a host without a target is there with all of its own: name the target of each, [cluster.at."tb0"]`,
		{"", "/b"}:   "and a host without a target",
		{"", ""}:     "and a host without a target",
	} {
		_, err := Parse("fleet.toml", text(targets[0], targets[1]))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", targets, err, want)
		}
	}
}

// TestOfHostsMax holds that the hosts of a command line have a bound in all, not only those of each pattern.
func TestOfHostsMax(t *testing.T) {
	t.Parallel()
	if list, err := ofHosts([]string{"a[1-500]", "b[1-500]", "a[1-500]"}); err != nil || len(list.Clusters[0].Hosts) != HostsMax {
		t.Errorf("%d hosts: %v", HostsMax, err)
	}
	if _, err := ofHosts([]string{"a[1-1000]", "b"}); err == nil || !strings.Contains(err.Error(), "more than 1000 hosts") {
		t.Errorf("%d hosts: %v", HostsMax+1, err)
	}
}
