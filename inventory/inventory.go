// Package inventory reads fleet.toml, the operator's list of hosts and clusters. Every mistake is told
// with its line and key.
package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/tbctl/tbctl/fleet"
)

const (
	// SizeMax is the most bytes of an inventory.
	SizeMax = 1 << 20
	// ClusterHostsMax is the most hosts of one cluster: six replicas and six standbys.
	ClusterHostsMax = 12
	// ClustersMax is the most clusters of an inventory.
	ClustersMax = 1000
	// HostsMax is the most hosts that are named without one.
	HostsMax = 1000

	clusterNameMax = 64 // bytes
	commandMax     = 64 // words of a command
)

// Error says what is wrong with an inventory, and where.
type Error struct {
	File string // as it was named
	Line int    // from 1; 0: of no line
	Key  string // such as cluster.hosts; "": of none
	Err  error
}

// Error says where and what.
func (e *Error) Error() string {
	where := e.File
	if e.Line > 0 {
		where += ":" + strconv.Itoa(e.Line)
	}
	if e.Key != "" {
		where += ": " + e.Key
	}
	return where + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// tomlFile is how the file has it.
type tomlFile struct {
	Become    []string      `toml:"become"`
	SSH       []string      `toml:"ssh"`
	State     string        `toml:"state"`
	Artifacts string        `toml:"artifacts"`
	Clusters  []tomlCluster `toml:"cluster"`
}

type tomlCluster struct {
	Name  string              `toml:"name"`
	Hosts []string            `toml:"hosts"`
	Soak  duration            `toml:"soak"`
	Wave  int                 `toml:"wave"`
	At    map[string]tomlHost `toml:"at"`
}

type tomlHost struct {
	Target string `toml:"target"`
	Depot  string `toml:"depot"`
}

type duration time.Duration

// UnmarshalText reads a duration as Go writes it, such as 2h30m.
func (d *duration) UnmarshalText(text []byte) error {
	value, err := time.ParseDuration(string(text))
	if err == nil && value < 0 {
		err = fmt.Errorf("%s is less than nothing", text)
	}
	*d = duration(value)
	return err
}

// Parse reads an inventory; file is its name, for errors, which are
// [*Error]. Keys that are not known are errors.
func Parse(file string, text []byte) (*fleet.Inventory, error) {
	if len(text) > SizeMax {
		return nil, &Error{File: file, Err: fmt.Errorf("larger than %d bytes", SizeMax)}
	}
	var from tomlFile
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := decoder.Decode(&from); err != nil {
		return nil, decodeError(file, err)
	}
	r := reader{file, text}
	inventory := &fleet.Inventory{Become: from.Become, SSH: from.SSH, State: from.State, Artifacts: from.Artifacts}
	for key, words := range map[string][]string{"become": from.Become, "ssh": from.SSH} {
		if err := checkCommand(words); err != nil {
			return nil, r.wrong(err, -1, key)
		}
	}
	if len(from.Clusters) > ClustersMax {
		return nil, r.wrong(fmt.Errorf("more than %d clusters", ClustersMax), ClustersMax, "name")
	}
	placed := map[string][]place{}
	for i, from := range from.Clusters {
		cluster, err := r.cluster(i, from)
		if err != nil {
			return nil, err
		}
		if cluster.Wave == 0 {
			cluster.Wave = i + 1
		}
		for _, other := range inventory.Clusters {
			if other.Name == cluster.Name {
				return nil, r.wrong(fmt.Errorf("%q is the name of two clusters", cluster.Name), i, "name")
			}
		}
		for _, host := range cluster.Hosts {
			for _, other := range placed[host.Name] {
				if err := r.apart(host, other); err != nil {
					return nil, r.wrong(err, i, "hosts")
				}
			}
			placed[host.Name] = append(placed[host.Name], place{cluster.Name, i, host.Target})
		}
		inventory.Clusters = append(inventory.Clusters, cluster)
	}
	return inventory, nil
}

// place is where a host is in an inventory.
type place struct {
	cluster string
	index   int // of the cluster
	target  string
}

// apart refuses two clusters that may share a target. Without one all targets of the host's own configuration are meant.
func (r reader) apart(host fleet.Host, other place) error {
	where := fmt.Sprintf("%s is a host of %s too, in line %d", host.Name, other.cluster, lineOf(r.text, other.index, []string{"cluster", "hosts"}))
	switch {
	case host.Target == other.target && host.Target != "":
		return fmt.Errorf("%s, with the same target", where)
	case host.Target == "" || other.target == "":
		return fmt.Errorf("%s, and a host without a target is there with all of its own: name the target of each, [cluster.at.%q]", where, host.Name)
	}
	return nil
}

// OfHosts is the inventory of one cluster whose hosts were named on the command
// line, as names or patterns.
func OfHosts(names []string) (*fleet.Inventory, error) {
	cluster := fleet.Cluster{Wave: 1}
	for _, pattern := range names {
		expanded, err := ExpandHosts(pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range expanded {
			if !slices.ContainsFunc(cluster.Hosts, func(h fleet.Host) bool { return h.Name == name }) {
				cluster.Hosts = append(cluster.Hosts, fleet.Host{Name: name})
			}
			if len(cluster.Hosts) > HostsMax {
				return nil, fmt.Errorf("more than %d hosts are named: ask for some of them at a time", HostsMax)
			}
		}
	}
	return &fleet.Inventory{Clusters: []fleet.Cluster{cluster}}, nil
}

// reader reads the parts of one file.
type reader struct {
	file string
	text []byte
}

// cluster reads the i-th cluster.
func (r reader) cluster(i int, from tomlCluster) (fleet.Cluster, error) {
	cluster := fleet.Cluster{Name: from.Name, Soak: time.Duration(from.Soak), Wave: from.Wave}
	switch {
	case from.Name == "":
		return cluster, r.wrong(errors.New("a cluster needs a name"), i, "name")
	case len(from.Name) > clusterNameMax || !onlyOf(from.Name, letters+"._-") || !onlyOf(from.Name[:1], letters):
		return cluster, r.wrong(fmt.Errorf("%q: at most %d letters, digits and . _ -, the first a letter or digit", from.Name, clusterNameMax), i, "name")
	case from.Wave < 0:
		return cluster, r.wrong(fmt.Errorf("%d: waves are counted from 1", from.Wave), i, "wave")
	case len(from.Hosts) == 0:
		return cluster, r.wrong(errors.New("a cluster needs hosts"), i, "hosts")
	}
	for _, pattern := range from.Hosts {
		names, err := ExpandHosts(pattern)
		if err != nil {
			return cluster, r.wrong(err, i, "hosts")
		}
		for _, name := range names {
			if slices.ContainsFunc(cluster.Hosts, func(h fleet.Host) bool { return h.Name == name }) {
				return cluster, r.wrong(fmt.Errorf("%s is named twice", name), i, "hosts")
			}
			cluster.Hosts = append(cluster.Hosts, fleet.Host{Name: name, Target: from.At[name].Target, Depot: from.At[name].Depot})
		}
		if len(cluster.Hosts) > ClusterHostsMax {
			return cluster, r.wrong(fmt.Errorf("more than %d hosts: a cluster has at most six replicas and six standbys", ClusterHostsMax), i, "hosts")
		}
	}
	for name, at := range from.At {
		if !slices.ContainsFunc(cluster.Hosts, func(h fleet.Host) bool { return h.Name == name }) {
			return cluster, r.wrong(fmt.Errorf("%q is no host of %s", name, from.Name), i, "at", name)
		}
		if at.Target != "" && (!path.IsAbs(at.Target) || path.Clean(at.Target) != at.Target) {
			return cluster, r.wrong(fmt.Errorf("%q: write the whole path, from / on", at.Target), i, "at", name, "target")
		}
		if at.Depot != "" {
			if _, _, err := net.SplitHostPort(at.Depot); err != nil {
				return cluster, r.wrong(fmt.Errorf("%q: write it as address:port", at.Depot), i, "at", name, "depot")
			}
		}
	}
	return cluster, nil
}

// wrong returns an error that names the key, below the i-th cluster unless i is negative,
// and the line that it is in.
func (r reader) wrong(err error, i int, key ...string) error {
	if i >= 0 {
		key = append([]string{"cluster"}, key...)
	}
	return &Error{r.file, lineOf(r.text, i, key), strings.Join(key, "."), err}
}

// decodeError says where the decoder stopped.
func decodeError(file string, err error) error {
	var (
		unknown *toml.StrictMissingError
		decode  *toml.DecodeError
	)
	switch {
	case errors.As(err, &unknown) && len(unknown.Errors) > 0:
		first := unknown.Errors[0]
		line, _ := first.Position()
		return &Error{file, line, strings.Join(first.Key(), "."), errors.New("not a key of an inventory")}
	case errors.As(err, &decode):
		line, _ := decode.Position()
		return &Error{file, line, strings.Join(decode.Key(), "."), errors.New(strings.TrimPrefix(decode.Error(), "toml: "))}
	}
	return &Error{File: file, Err: err}
}

// lineOf returns the line of a key, below the i-th element of cluster unless i is negative. Where
// the key is not there it is the line of what it would be in, and 0 where that isn't either.
func lineOf(text []byte, i int, key []string) int {
	parser := unstable.Parser{}
	parser.Reset(text)
	found, best := 0, -1
	table, element := []string{}, -1
	for parser.NextExpression() {
		expression := parser.Expression()
		var names []string
		var at unstable.Range
		for part := expression.Key(); part.Next(); {
			names, at = append(names, string(part.Node().Data)), part.Node().Raw
		}
		if expression.Kind == unstable.KeyValue {
			names = append(slices.Clone(table), names...)
		} else {
			table = names
			if expression.Kind == unstable.ArrayTable && slices.Equal(names, key[:1]) {
				element++
			}
		}
		// The longest part of the key that is there.
		common := 0
		for common < min(len(names), len(key)) && names[common] == key[common] {
			common++
		}
		if common == len(names) && common > best && (i < 0 || element == i) {
			found, best = parser.Shape(at).Start.Line, common
		}
	}
	return found
}

// checkCommand refuses words that no program can be started with.
func checkCommand(words []string) error {
	if len(words) > commandMax {
		return fmt.Errorf("more than %d words", commandMax)
	}
	for i, word := range words {
		if i == 0 && word == "" || strings.ContainsRune(word, 0) {
			return fmt.Errorf("%q is no word of a command", word)
		}
	}
	return nil
}
