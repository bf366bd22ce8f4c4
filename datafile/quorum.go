package datafile

import "github.com/tbctl/tbctl/multiversion"

// quorum is a set of copies that carry the same superblock.
type quorum struct {
	checksum multiversion.Checksum
	place    int // of the first one found
	sequence uint64
	copies   uint8 // a bit for each different copy
	count    int
}

// add counts a copy once, by its own number: a copy that was written to two
// places by mistake must not make a quorum with itself. A number that no
// copy has is damage, and then the place counts.
func (q *quorum) add(state CopyState, place int) {
	number := place
	if state.Copy < CopiesCount {
		number = int(state.Copy)
	}
	if bit := uint8(1) << number; q.copies&bit == 0 {
		q.copies |= bit
		q.count++
	}
}

func (q *quorum) valid() bool { return q.count >= quorumOpen }

// better reports whether q goes before other: a quorum before none, then the
// higher sequence.
func (q *quorum) better(other *quorum) bool {
	if q.valid() != other.valid() {
		return q.valid()
	}
	return q.sequence > other.sequence
}

// working returns the place of a copy of the superblock that counts, by the
// rules of upstream's src/vsr/superblock_quorums.zig, or why there is none.
func working(headers *[CopiesCount]header, copies *[CopiesCount]CopyState) (int, error) {
	var quorums []quorum
	for place, state := range copies {
		if !state.Valid {
			continue
		}
		index := 0
		for index < len(quorums) && quorums[index].checksum != state.Checksum {
			index++
		}
		if index == len(quorums) {
			quorums = append(quorums, quorum{checksum: state.Checksum, place: place, sequence: state.Sequence})
		}
		quorums[index].add(state, place)
	}
	if len(quorums) == 0 {
		return 0, ErrNoCopy
	}
	best := &quorums[0]
	for index := range quorums {
		if quorums[index].better(best) {
			best = &quorums[index]
		}
	}
	if !best.valid() {
		return 0, ErrNoQuorum
	}
	for index := range quorums {
		if err := connected(headers, best, &quorums[index]); err != nil {
			return 0, err
		}
	}
	return best.place, nil
}

// connected looks at a superblock beside the best one: what a crash while
// writing leaves behind is its parent, or a single copy of its successor.
// A copy of another cluster or replica is a misdirected write and ignored.
func connected(headers *[CopiesCount]header, best, other *quorum) error {
	a, b := &headers[other.place], &headers[best.place]
	sameReplica := [16]byte(a[offsetCluster:]) == [16]byte(b[offsetCluster:]) &&
		[16]byte(a[offsetReplicaID:]) == [16]byte(b[offsetReplicaID:])
	switch {
	case other.checksum == best.checksum || !sameReplica:
		return nil
	case other.sequence == best.sequence:
		return ErrFork
	case other.sequence > best.sequence && other.sequence-best.sequence > 1:
		return ErrSkipped
	case other.sequence < best.sequence && best.sequence-other.sequence == 1 && other.checksum != b.parent():
		return ErrDisconnected
	}
	return nil
}
