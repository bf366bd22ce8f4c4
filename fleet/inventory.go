package fleet

import "time"

// Inventory says which hosts there are and which clusters they belong to. It is the
// operator's claim: what the data files of the hosts say is the truth.
type Inventory struct {
	// Become is put in front of the command on the other end, such as sudo -n.
	Become []string
	// SSH starts the connection to a host in place of ssh, see package remote.
	SSH []string
	// State is the shared state's address; "": files of this machine.
	State string
	// Artifacts is the registry that hosts fetch from; "": they are pushed.
	Artifacts string

	Clusters []Cluster // in the order of the file
}

// Cluster is the hosts that are promoted together.
type Cluster struct {
	Name  string
	Hosts []Host        // in the order of the file, patterns expanded
	Soak  time.Duration // how long it runs a new release before the next wave begins
	Wave  int           // from 1; clusters of one wave go together
}

// Host is one host of a cluster.
type Host struct {
	Name   string // as ssh_config knows it
	Target string // absolute path of the binary; "": the host's own default
	Depot  string // address of its store, host:port; "": none
}
