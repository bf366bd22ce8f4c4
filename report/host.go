package report

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/multiversion"
)

// HostVersion is the version of [Host]. Within it fields are only added.
const HostVersion = 1

// Host is what one host shows of itself and of the targets that its configuration names.
type Host struct {
	Version  int                   `json:"version"` // [HostVersion]
	Name     string                `json:"name"`    // as the host calls itself
	Machine  string                `json:"machine"` // its machine id, another one after it was installed again; "": it has none
	Boot     string                `json:"boot"`    // another one after each start of the host; "": it cannot be seen
	Tbctl    string                `json:"tbctl"`   // the version of tbctl there
	Platform multiversion.Platform `json:"platform"`
	Time     time.Time             `json:"time"` // by the host's clock, for people
	Targets  []HostTarget          `json:"targets"`

	// Require is what is to vouch for a file before it is put at a target here: digest, signature, or "" for nothing. PublicKey is the
	// one by which a signature is checked; "": there is none, or it cannot be read.
	Require   string `json:"require"`
	PublicKey string `json:"public_key"`

	StoreRoom *int64 `json:"store_room"` // bytes that are free where its store is; nil: that cannot be seen
}

// HostTarget is one target of a host.
type HostTarget struct {
	Path     string   `json:"path"`    // as the configuration names it
	Status   *Status  `json:"status"`  // null: it could not be looked at, and Problem says why
	Problem  string   `json:"problem"` // "": none; beside a status: not all could be looked at, or the installed file is no multiversion binary
	Warnings []string `json:"warnings"`

	// WayBackLost is the SHA-256 of the file that was there when a rollout that holds the target claimed it, where that is neither at the target
	// nor beside it nor in the host's store; "": it is, or that cannot be seen.
	WayBackLost string `json:"way_back_lost,omitempty"`

	Room  *int64 `json:"room"`  // bytes that are free where it is; nil: that cannot be seen
	Place string `json:"place"` // of the same text with the same Boot, whichever host shows it, is the same target; "": that cannot be seen
}

// NewHost looks at this host, whose store is in a directory, and changes nothing.
func NewHost(ctx context.Context, in *install.Installer, version, store string, targets []string) (*Host, error) {
	h := &Host{
		Version: HostVersion, Machine: firstLine("/etc/machine-id"), Boot: firstLine("/proc/sys/kernel/random/boot_id"), Tbctl: version,
		Platform: multiversion.ThisPlatform(), Time: time.Now().UTC(), StoreRoom: roomOf(in.FS, store),
	}
	var err error
	if h.Name, err = os.Hostname(); err != nil {
		return nil, err
	}
	for _, path := range targets {
		target := HostTarget{Path: path}
		status, err := NewStatus(ctx, in, path)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			target.Problem = err.Error()
		case status.Problem != nil:
			target.Problem = multiversion.Outline(status.Problem) // what is there may be another's file, and is not for the other end
		}
		if status != nil {
			target.Status, target.Warnings = status, status.Warnings
			target.WayBackLost = status.wayBackLost(depot.Open(in.FS, store).Looking())
			if path := status.Target.Path; path != "" {
				target.Room, target.Place = roomOf(in.FS, filepath.Dir(path)), placeOf(in.FS, path)
			}
		}
		h.Targets = append(h.Targets, target)
	}
	return h, nil
}

// wayBackLost is [HostTarget.WayBackLost].
func (s *Status) wayBackLost(store *depot.Depot) string {
	if s.Fence == nil || !s.Fence.Phase.Holds() || s.Fence.Previous == "" || len(s.Hidden) > 0 {
		return ""
	}
	digest := strings.TrimPrefix(s.Fence.Previous, "sha256:")
	for _, file := range []*install.File{s.Installed, s.Previous} {
		if file != nil && file.SHA256 == digest {
			return ""
		}
	}
	if _, err := store.Stat(digest); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return digest
}

// firstLine is the first line of a small file of the system, "" if it cannot be read.
func firstLine(name string) string {
	const sizeMax = 4 << 10
	file, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer file.Close()
	buffer := make([]byte, sizeMax)
	count, _ := file.Read(buffer)
	line, _, _ := strings.Cut(string(buffer[:count]), "\n")
	return strings.TrimSpace(line)
}
