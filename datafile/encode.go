package datafile

import (
	"encoding/binary"
	"fmt"

	"github.com/tbctl/tbctl/multiversion"
)

// Encode returns the superblock zone of a data file with four copies of s,
// for fixtures and stand-ins: nothing of tbctl ever writes a data file. Checksum,
// ClusterHex, Standby and Copies are ignored, and members other than the replica
// itself are left out, so upstream could not start from it. The error is a
// [*VersionError] for a version other than 1 and 2, or names a replica index that
// no member has.
func (s *Superblock) Encode() (*[ZoneSize]byte, error) {
	if s.ReplicaIndex >= MembersMax {
		return nil, fmt.Errorf("encode superblock: replica index %d, want less than %d", s.ReplicaIndex, MembersMax)
	}
	offsetRelease := offsetReleaseVersion2
	switch s.Version {
	case versionFirst:
		offsetRelease = offsetReleaseVersion1
	case versionNewest:
	default:
		return nil, &VersionError{Version: s.Version, ReleaseFormat: s.ReleaseFormat}
	}
	var raw header
	binary.LittleEndian.PutUint16(raw[offsetVersion:], s.Version)
	binary.LittleEndian.PutUint32(raw[offsetReleaseFormat:], uint32(s.ReleaseFormat))
	binary.LittleEndian.PutUint64(raw[offsetSequence:], s.Sequence)
	copy(raw[offsetCluster:], s.Cluster[:])
	copy(raw[offsetParent:], s.Parent[:])
	binary.LittleEndian.PutUint64(raw[offsetCheckpointOp:], s.CheckpointOp)
	binary.LittleEndian.PutUint32(raw[offsetRelease:], uint32(s.Release))
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

	var zone [ZoneSize]byte
	for place := range CopiesCount {
		binary.LittleEndian.PutUint16(raw[offsetCopy:], uint16(place))
		copy(zone[place*CopyStride:], raw[:])
	}
	return &zone, nil
}
