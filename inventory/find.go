package inventory

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/vfs"
)

// FileError says that a list is there, or was named, and cannot be used.
type FileError struct {
	Name   string
	Others bool // another user may decide what it says
	Err    error
}

func (e *FileError) Error() string {
	if e.Others {
		return fmt.Sprintf("%s is not read, since another user may decide what it says: %v", e.Name, e.Err)
	}
	return e.Err.Error()
}

func (e *FileError) Unwrap() error { return e.Err }

// Class is what it means: see [fault.Of].
func (e *FileError) Class() fault.Class { return fault.Usage }

// Find reads the list that is named, or the first that is there: fleet.toml in the current directory, or in the user's directory of
// settings. It returns its name, and no text where none is there. The list says which program is started, so one that is
// not named must be the user's or root's, and nobody else's to write. The error is a [*FileError].
func Find(named string, getenv func(string) string) (name string, text []byte, err error) {
	places := []string{named}
	if named == "" {
		places = []string{"fleet.toml"}
		base := getenv("XDG_CONFIG_HOME")
		if home := config.Home(getenv); !filepath.IsAbs(base) && home != "" {
			base = filepath.Join(home, ".config")
		}
		if filepath.IsAbs(base) {
			places = append(places, filepath.Join(base, "tbctl", "fleet.toml"))
		}
	}
	for _, place := range places {
		file, info, err := vfs.OpenFile(place, nil)
		if named == "" && errors.Is(err, fs.ErrNotExist) {
			if err = vfs.Dangling(vfs.OS(), place); err == nil {
				continue
			}
		}
		var text []byte
		if err == nil {
			defer file.Close()
			if why := vfs.OthersMayWrite(place, info, os.Geteuid()); named == "" && why != "" {
				return place, nil, &FileError{place, true, errors.New(why)}
			}
			text, err = io.ReadAll(io.LimitReader(file, SizeMax+1))
		}
		if err != nil {
			return place, nil, &FileError{place, false, err}
		}
		return place, text, nil
	}
	return "", nil, nil
}

// Load finds a list, as [Find] does, and parses it. Where none is there it is nil.
func Load(named string, getenv func(string) string) (name string, list *fleet.Inventory, err error) {
	name, text, err := Find(named, getenv)
	if err == nil && text != nil {
		list, err = Parse(name, text)
	}
	return name, list, err
}

// Choose is the list of the named clusters of a list, and of the named hosts, of which holds what the list says of them. Errors
// are those of [ofHosts].
func Choose(list *fleet.Inventory, names []string) (*fleet.Inventory, error) {
	var clusters []fleet.Cluster
	var hosts []string
	for _, name := range names {
		at := slices.IndexFunc(list.Clusters, func(c fleet.Cluster) bool { return c.Name == name })
		switch {
		case at < 0:
			hosts = append(hosts, name)
		case !slices.ContainsFunc(clusters, func(c fleet.Cluster) bool { return c.Name == name }): // not named before
			clusters = append(clusters, list.Clusters[at])
		}
	}
	named, err := ofHosts(hosts)
	if err != nil {
		return nil, err
	}
	for _, cluster := range named.Clusters {
		for index, host := range cluster.Hosts {
			for _, known := range list.Clusters {
				at := slices.IndexFunc(known.Hosts, func(h fleet.Host) bool { return h.Name == host.Name })
				if at >= 0 {
					cluster.Hosts[index] = known.Hosts[at]
				}
			}
		}
		if len(cluster.Hosts) > 0 {
			clusters = append(clusters, cluster)
		}
	}
	chosen := *list
	chosen.Clusters = clusters
	return &chosen, nil
}
