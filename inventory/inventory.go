// Package inventory reads fleet.toml, the operator's list of hosts and clusters. Every mistake is told
// with its line and key.
package inventory

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/tomlline"
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

	// MistakesMax is the most mistakes that are told.
	MistakesMax = 20

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
	return tomlline.Where(e.File, e.Line, e.Key) + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Class is [fault.Usage].
func (e *Error) Class() fault.Class { return fault.Usage }

// Errors are the mistakes of an inventory, by their lines: at most [MistakesMax] of them. Each is an [*Error].
type Errors []error

// Error tells each on a line of its own.
func (e Errors) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	if len(e) == MistakesMax {
		texts = append(texts, "what else is wrong is not told")
	}
	return strings.Join(texts, "\n")
}

// Unwrap returns them.
func (e Errors) Unwrap() []error { return e }

// Parse reads an inventory; file is its name, for errors. Keys that are not known are errors. What is wrong is an [*Error] where nothing
// can be read of it, and otherwise [Errors].
func Parse(file string, text []byte) (*fleet.Inventory, error) {
	if len(text) > SizeMax {
		return nil, &Error{File: file, Err: fmt.Errorf("larger than %d bytes", SizeMax)}
	}
	var from map[string]any
	if err := toml.Unmarshal(text, &from); err != nil {
		return nil, syntaxError(file, err)
	}
	r := &reader{file: file, text: text}
	whole := section{reader: r, table: from, cluster: -1}
	whole.only("become", "ssh", "state", "artifacts", "cluster")
	inventory := &fleet.Inventory{Become: whole.command("become"), SSH: whole.command("ssh"), State: whole.text("state"), Artifacts: whole.text("artifacts")}
	clusters := whole.list("cluster", "must be tables, each begun by [[cluster]]")
	if len(clusters) > ClustersMax {
		r.wrong(fmt.Errorf("more than %d clusters", ClustersMax), ClustersMax, "name")
		clusters = nil
	}
	placed := map[string][]place{}
	for i, value := range clusters {
		table, is := value.(map[string]any)
		if !is {
			whole.wrong("cluster", errors.New("must be tables, each begun by [[cluster]]"))
			break
		}
		cluster := r.readCluster(section{reader: r, table: table, cluster: i})
		if cluster.Wave == 0 {
			cluster.Wave = i + 1
		}
		for _, other := range inventory.Clusters {
			if other.Name == cluster.Name && other.Name != "" {
				r.wrong(fmt.Errorf("%q is the name of two clusters", cluster.Name), i, "name")
				break
			}
		}
		if err := r.place(placed, cluster, i); err != nil {
			r.wrong(err, i, "hosts")
		}
		inventory.Clusters = append(inventory.Clusters, cluster)
		if r.full() {
			break
		}
	}
	if len(r.mistakes) == 0 {
		return inventory, nil
	}
	slices.SortStableFunc(r.mistakes, func(a, b *Error) int { return a.Line - b.Line })
	var all Errors
	for _, each := range r.mistakes {
		all = append(all, each)
	}
	return nil, all
}

// place notes where the hosts of a cluster are, and refuses one that may share a target with another's.
func (r *reader) place(placed map[string][]place, cluster fleet.Cluster, i int) error {
	for _, host := range cluster.Hosts {
		for _, other := range placed[host.Name] {
			if err := r.apart(host, other); err != nil {
				return err
			}
		}
		placed[host.Name] = append(placed[host.Name], place{cluster.Name, i, host.Target})
	}
	return nil
}

// place is where a host is in an inventory.
type place struct {
	cluster string
	index   int // of the cluster
	target  string
}

// apart refuses two clusters that may share a target. Without one all targets of the host's own configuration are meant.
func (r *reader) apart(host fleet.Host, other place) error {
	where := fmt.Sprintf("%s is a host of %s too, in line %d", host.Name, other.cluster, tomlline.Of(r.text, other.index, "cluster", "hosts"))
	switch {
	case host.Target == other.target && host.Target != "":
		return fmt.Errorf("%s, with the same target", where)
	case host.Target == "" || other.target == "":
		return fmt.Errorf("%s, and a host without a target is there with all of its own: name the target of each, [cluster.at.%q]", where, host.Name)
	}
	return nil
}

// ofHosts is the inventory of one cluster whose hosts were named on the command
// line, as names or patterns.
func ofHosts(names []string) (*fleet.Inventory, error) {
	cluster := fleet.Cluster{Wave: 1}
	for _, pattern := range names {
		expanded, err := expandHosts(pattern)
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

// reader reads the parts of one file, and collects its mistakes.
type reader struct {
	file     string
	text     []byte
	mistakes []*Error
}

// full says that no more mistakes are told.
func (r *reader) full() bool { return len(r.mistakes) >= MistakesMax }

// wrong notes a mistake of a key, below the i-th cluster unless i is negative, with the line that it is in.
func (r *reader) wrong(err error, i int, key ...string) {
	if r.full() {
		return
	}
	if i >= 0 {
		key = append([]string{"cluster"}, key...)
	}
	r.mistakes = append(r.mistakes, &Error{r.file, tomlline.Of(r.text, i, key...), strings.Join(key, "."), err})
}

// section is a table of the file: its values by their keys. A value of another kind is a mistake, and is told as one that
// is not there.
type section struct {
	*reader
	table   map[string]any
	cluster int      // that it is of; less than 0: of none
	path    []string // below the cluster
}

func (s section) wrong(key string, err error) {
	s.reader.wrong(err, s.cluster, append(slices.Clone(s.path), key)...)
}

// only refuses every other key.
func (s section) only(keys ...string) {
	for _, key := range slices.Sorted(maps.Keys(s.table)) {
		if !slices.Contains(keys, key) {
			s.wrong(key, errors.New("not a key of an inventory"))
		}
	}
}

func (s section) text(key string) string {
	text, is := s.table[key].(string)
	if !is && s.table[key] != nil {
		s.wrong(key, errors.New(`must be a text in quotes, as "text"`))
	}
	return text
}

func (s section) number(key string) int {
	number, is := s.table[key].(int64)
	if (!is && s.table[key] != nil) || number > math.MaxInt32 {
		s.wrong(key, errors.New("must be a number, as 1"))
		return 0
	}
	return int(number)
}

// duration is a time as Go writes it, such as 2h30m.
func (s section) duration(key string) time.Duration {
	text := s.text(key)
	if text == "" {
		return 0
	}
	value, err := time.ParseDuration(text)
	switch {
	case err != nil:
		s.wrong(key, fmt.Errorf(`%q is no time: write it as "2h30m" or "90s"`, text))
	case value < 0:
		s.wrong(key, fmt.Errorf("%s is less than nothing", text))
	}
	return value
}

func (s section) list(key, must string) []any {
	list, is := s.table[key].([]any)
	if !is && s.table[key] != nil {
		s.wrong(key, errors.New(must))
	}
	return list
}

func (s section) words(key string) []string {
	const must = `must be a list of texts in quotes, as ["one", "two"]`
	var words []string
	for _, value := range s.list(key, must) {
		word, is := value.(string)
		if !is {
			s.wrong(key, errors.New(must))
			return nil
		}
		words = append(words, word)
	}
	return words
}

// command is what a program is started with.
func (s section) command(key string) []string {
	words := s.words(key)
	if err := checkCommand(words); err != nil {
		s.wrong(key, err)
	}
	return words
}

// below is the table of a key.
func (s section) below(key string) section {
	table, is := s.table[key].(map[string]any)
	if !is && s.table[key] != nil {
		s.wrong(key, errors.New("must be a table, as [cluster.at.\"host\"]"))
	}
	return section{s.reader, table, s.cluster, append(slices.Clone(s.path), key)}
}

// readCluster reads a cluster as far as it is right.
func (r *reader) readCluster(s section) fleet.Cluster {
	s.only("name", "hosts", "soak", "wave", "at")
	cluster := fleet.Cluster{Name: s.text("name"), Soak: s.duration("soak"), Wave: s.number("wave")}
	switch name := cluster.Name; {
	case name == "" && (s.table["name"] == nil || s.table["name"] == ""):
		s.wrong("name", errors.New("a cluster needs a name"))
	case name != "" && (len(name) > clusterNameMax || !onlyOf(name, letters+"._-") || !onlyOf(name[:1], letters)):
		s.wrong("name", fmt.Errorf("%q: at most %d letters, digits and . _ -, the first a letter or digit", name, clusterNameMax))
	}
	if cluster.Wave < 0 {
		s.wrong("wave", fmt.Errorf("%d: waves are counted from 1", cluster.Wave))
	}
	at, known := s.below("at"), len(r.mistakes)
	cluster.Hosts = s.hosts(at)
	all := len(r.mistakes) == known // the hosts are known
	for _, name := range slices.Sorted(maps.Keys(at.table)) {
		if all && !slices.ContainsFunc(cluster.Hosts, func(h fleet.Host) bool { return h.Name == name }) {
			at.wrong(name, fmt.Errorf("%q is no host of %s", name, cluster.Name))
		}
		one := at.below(name)
		one.only("target", "depot")
		if target := one.text("target"); target != "" && (!path.IsAbs(target) || path.Clean(target) != target) {
			one.wrong("target", fmt.Errorf("%q: write the whole path, from / on", target))
		}
		if depot := one.text("depot"); depot != "" {
			if _, _, err := net.SplitHostPort(depot); err != nil {
				one.wrong("depot", fmt.Errorf("%q: write it as address:port", depot))
			}
		}
	}
	return cluster
}

// hosts are those of a cluster, with what is set for each.
func (s section) hosts(at section) []fleet.Host {
	patterns := s.words("hosts")
	if list, is := s.table["hosts"].([]any); s.table["hosts"] == nil || is && len(list) == 0 {
		s.wrong("hosts", errors.New("a cluster needs hosts"))
	}
	var hosts []fleet.Host
	for _, pattern := range patterns {
		names, err := expandHosts(pattern)
		if err != nil {
			s.wrong("hosts", err)
			continue
		}
		for _, name := range names {
			if slices.ContainsFunc(hosts, func(h fleet.Host) bool { return h.Name == name }) {
				s.wrong("hosts", fmt.Errorf("%s is named twice", name))
				continue
			}
			host := fleet.Host{Name: name}
			if set, is := at.table[name].(map[string]any); is { // a value of another kind is told where they are read
				host.Target, _ = set["target"].(string)
				host.Depot, _ = set["depot"].(string)
			}
			hosts = append(hosts, host)
		}
		if len(hosts) > ClusterHostsMax {
			s.wrong("hosts", fmt.Errorf("more than %d hosts: a cluster has at most six replicas and six standbys", ClusterHostsMax))
			break
		}
	}
	return hosts
}

// syntaxError says where the file is no TOML any more: what comes after is not read.
func syntaxError(file string, err error) error {
	if decode, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := decode.Position()
		return &Error{file, line, strings.Join(decode.Key(), "."), errors.New("not TOML: " + strings.TrimPrefix(decode.Error(), "toml: "))}
	}
	return &Error{File: file, Err: fmt.Errorf("not TOML: %s", strings.TrimPrefix(err.Error(), "toml: "))}
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
