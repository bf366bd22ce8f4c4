// Package zone writes the superblock zone of a data file, for tests and stand-ins: nothing of tbctl
// ever writes one. It has the layout from upstream's source, apart from package datafile, which reads it.
package zone

import (
	"encoding/binary"
	"fmt"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
)

// Offsets of the header's fields in bytes. All integers are little-endian.
const (
	offsetChecksum         = 0
	offsetCopy             = 32
	offsetVersion          = 34 // the checksum covers all from here
	offsetReleaseFormat    = 36
	offsetSequence         = 40
	offsetCluster          = 48
	offsetParent           = 64
	offsetCheckpointOp     = 320
	offsetReplicaID        = 1120
	offsetMembers          = 1136
	offsetCommitMax        = 1328
	offsetLogView          = 1356
	offsetView             = 1360
	offsetReplicaCount     = 1364
	offsetViewHeadersCount = 2152
)

// offsetRelease is where the release is in each version of the superblock.
func offsetRelease(version uint16) (offset int, known bool) {
	switch version {
	case 1:
		return 644, true
	case 2:
		return 708, true
	}
	return 0, false
}

// Encode returns the superblock zone of a data file with four copies of s. Checksum,
// ClusterHex, Standby and Copies are ignored, and members other than the replica
// itself are left out, so upstream could not start from it. Versions other than 1 and 2, and a
// replica index that no member has, are errors.
func Encode(s *datafile.Superblock) (*[datafile.ZoneSize]byte, error) {
	if s.ReplicaIndex >= datafile.MembersMax {
		return nil, fmt.Errorf("encode superblock: replica index %d, want less than %d", s.ReplicaIndex, datafile.MembersMax)
	}
	release, ok := offsetRelease(s.Version)
	if !ok {
		return nil, fmt.Errorf("encode superblock: version %d", s.Version)
	}
	var raw [datafile.HeaderSize]byte
	binary.LittleEndian.PutUint16(raw[offsetVersion:], s.Version)
	binary.LittleEndian.PutUint32(raw[offsetReleaseFormat:], uint32(s.ReleaseFormat))
	binary.LittleEndian.PutUint64(raw[offsetSequence:], s.Sequence)
	copy(raw[offsetCluster:], s.Cluster[:])
	copy(raw[offsetParent:], s.Parent[:])
	binary.LittleEndian.PutUint64(raw[offsetCheckpointOp:], s.CheckpointOp)
	binary.LittleEndian.PutUint32(raw[release:], uint32(s.Release))
	copy(raw[offsetReplicaID:], s.ReplicaID[:])
	if s.ReplicaIndex >= 0 {
		copy(raw[offsetMembers+16*s.ReplicaIndex:], s.ReplicaID[:])
	}
	binary.LittleEndian.PutUint64(raw[offsetCommitMax:], s.CommitMax)
	binary.LittleEndian.PutUint32(raw[offsetLogView:], s.LogView)
	binary.LittleEndian.PutUint32(raw[offsetView:], s.View)
	raw[offsetReplicaCount] = s.ReplicaCount
	binary.LittleEndian.PutUint32(raw[offsetViewHeadersCount:], 1)
	sum := multiversion.ChecksumOf(raw[offsetVersion:])
	copy(raw[offsetChecksum:], sum[:])

	var zone [datafile.ZoneSize]byte
	for place := range datafile.CopiesCount {
		binary.LittleEndian.PutUint16(raw[offsetCopy:], uint16(place))
		copy(zone[place*datafile.CopyStride:], raw[:])
	}
	return &zone, nil
}
