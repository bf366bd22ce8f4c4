package datafile

import (
	"encoding/binary"
	"fmt"

	"github.com/tbctl/tbctl/multiversion"
)

const (
	// CopiesCount is how many copies of the superblock a data file has.
	CopiesCount = 4

	// CopyStride is the distance between two copies in bytes.
	CopyStride = 24576

	// HeaderSize is the size of a copy's header in bytes.
	HeaderSize = 8192

	// ZoneSize is the size in bytes of what holds all copies, at the
	// start of the file.
	ZoneSize = CopiesCount * CopyStride

	// MembersMax is how many replicas and standbys a cluster has at most.
	MembersMax = 12

	// quorumOpen is how many copies must agree for a superblock to be used.
	quorumOpen = 2
)

// Offsets of the header's fields in bytes. All integers are little-endian.
const (
	offsetChecksum             = 0
	offsetChecksumPadding      = 16
	offsetCopy                 = 32
	offsetVersion              = 34 // the checksum covers all from here
	offsetReleaseFormat        = 36
	offsetSequence             = 40
	offsetCluster              = 48
	offsetParent               = 64
	offsetCheckpointOp         = 320
	offsetReleaseVersion1      = 644
	offsetReleaseVersion2      = 708
	offsetReplicaID            = 1120
	offsetMembers              = 1136
	offsetCommitMax            = 1328
	offsetLogView              = 1356
	offsetView                 = 1360
	offsetReplicaCount         = 1364
	offsetViewHeadersCount     = 2152
	versionFirst               = 1
	versionNewest              = 2
	checksumSize               = 16
	checksumPaddingSize        = 16
	replicaIndexUnknown    int = -1
)

// Superblock is what a data file says of its replica, as of the last time that
// the superblock was written: a view change or a checkpoint.
type Superblock struct {
	Version  uint16                `json:"version"` // of the layout: 1 or 2
	Sequence uint64                `json:"sequence"`
	Checksum multiversion.Checksum `json:"checksum"`
	Parent   multiversion.Checksum `json:"parent"` // checksum of the superblock before this one

	Cluster    ID     `json:"cluster"`
	ClusterHex string `json:"cluster_hex"`

	ReplicaID    ID    `json:"replica_id"`
	ReplicaIndex int   `json:"replica_index"` // of ReplicaID among the members; -1 if it is not there
	ReplicaCount uint8 `json:"replica_count"` // without standbys
	Standby      bool  `json:"standby"`       // ReplicaIndex is not below ReplicaCount

	// ReleaseFormat formatted the file; upgrades leave it. Release made the
	// last checkpoint: the next start needs a binary that holds it.
	ReleaseFormat multiversion.Release `json:"release_format"`
	Release       multiversion.Release `json:"release"`

	CheckpointOp uint64 `json:"checkpoint_op"`
	CommitMax    uint64 `json:"commit_max"`
	View         uint32 `json:"view"`
	LogView      uint32 `json:"log_view"`

	Copies [CopiesCount]CopyState `json:"copies"`
}

// CopyState says what stands in the place of one copy.
type CopyState struct {
	Valid    bool                  `json:"valid"`
	Agrees   bool                  `json:"agrees"` // it carries the superblock that counts
	Sequence uint64                `json:"sequence,omitempty"`
	Checksum multiversion.Checksum `json:"checksum"`
	// Copy is the number that the copy gives itself. The checksum does not
	// cover it; one that differs from the place is a misdirected write or damage.
	Copy    uint16 `json:"copy"`
	Problem string `json:"problem,omitempty"` // why it is not valid, or what is odd about it
}

// header is the bytes of one copy.
type header [HeaderSize]byte

func (h *header) uint32(offset int) uint32 { return binary.LittleEndian.Uint32(h[offset:]) }
func (h *header) uint64(offset int) uint64 { return binary.LittleEndian.Uint64(h[offset:]) }

func (h *header) version() uint16  { return binary.LittleEndian.Uint16(h[offsetVersion:]) }
func (h *header) sequence() uint64 { return h.uint64(offsetSequence) }

func (h *header) checksum() multiversion.Checksum {
	return multiversion.Checksum(h[offsetChecksum:][:checksumSize])
}

func (h *header) parent() multiversion.Checksum {
	return multiversion.Checksum(h[offsetParent:][:checksumSize])
}

// check judges a copy alone, as found in the given place.
func (h *header) check(place int) CopyState {
	state := CopyState{Checksum: h.checksum(), Copy: binary.LittleEndian.Uint16(h[offsetCopy:])}
	if sum := multiversion.ChecksumOf(h[offsetVersion:]); sum != state.Checksum {
		state.Problem = fmt.Sprintf("checksum is %s, want %s", state.Checksum, sum)
		return state
	}
	if [checksumPaddingSize]byte(h[offsetChecksumPadding:]) != [checksumPaddingSize]byte{} {
		state.Problem = "padding behind the checksum is not zero"
		return state
	}
	state.Valid, state.Sequence = true, h.sequence()
	if int(state.Copy) != place {
		state.Problem = fmt.Sprintf("calls itself copy %d", state.Copy)
	}
	return state
}

// decode reads the fields. The error is a [*VersionError] or ErrNoRelease; then
// the fields that every version has are set.
func (h *header) decode() (Superblock, error) {
	superblock := Superblock{
		Version:       h.version(),
		Sequence:      h.sequence(),
		Checksum:      h.checksum(),
		Parent:        h.parent(),
		Cluster:       ID(h[offsetCluster:][:16]),
		ReplicaIndex:  replicaIndexUnknown,
		ReleaseFormat: multiversion.Release(h.uint32(offsetReleaseFormat)),
	}
	superblock.ClusterHex = superblock.Cluster.Hex()
	offsetRelease := offsetReleaseVersion2
	switch superblock.Version {
	case versionFirst:
		offsetRelease = offsetReleaseVersion1
	case versionNewest:
	default:
		return superblock, &VersionError{Version: superblock.Version, ReleaseFormat: superblock.ReleaseFormat}
	}
	superblock.ReplicaID = ID(h[offsetReplicaID:][:16])
	superblock.ReplicaCount = h[offsetReplicaCount]
	for index := range MembersMax {
		if ID(h[offsetMembers+16*index:][:16]) == superblock.ReplicaID && superblock.ReplicaID != (ID{}) {
			superblock.ReplicaIndex = index
			superblock.Standby = index >= int(superblock.ReplicaCount)
			break
		}
	}
	superblock.Release = multiversion.Release(h.uint32(offsetRelease))
	superblock.CheckpointOp = h.uint64(offsetCheckpointOp)
	superblock.CommitMax = h.uint64(offsetCommitMax)
	superblock.View = h.uint32(offsetView)
	superblock.LogView = h.uint32(offsetLogView)
	if superblock.Release == 0 {
		return superblock, ErrNoRelease
	}
	return superblock, nil
}
