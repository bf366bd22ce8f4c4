//go:build linux

package program

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tbctl/tbctl/multiversion"
)

// A cluster of stand-ins decides as replicas do when it upgrades. What they tell each other
// is a message of their own: only what it does is upstream's, not its bytes.
//
//	every second      each looks at its binary, and tells all others what it offers
//	every 5 seconds   the primary counts: does it remember of enough replicas that they offer a newer release?
//	view              the primary is the replica view mod count; when it is silent the next one is, for a majority that hear each other
//	connections       end when what was sent over them is not acknowledged for 17 seconds
//
// What the primary remembers of a replica is overwritten only by a later message of that replica with a
// checkpoint and a view that are not lower, and stays when that replica ends.
const (
	commandOffer  = 200
	offerSize     = 256 + 4*multiversion.ReleasesMax
	countEvery    = 5               // seconds
	silenceMax    = 10              // seconds, of a primary
	vanishedMax   = 17              // seconds, of what is at a connection's other end
	silenceLeast  = 2 * time.Second // that both are no shorter than here: on a busy machine a process may not run for as long as a few of ours
	checkpointOps = 960
	receivedQueue = 64
)

// quorumAll is the first release that upgrades when all have the next one.
var quorumAll = multiversion.NewRelease(0, 16, 16)

// offer is what a replica tells the others.
type offer struct {
	replica    int
	view       uint32
	checkpoint uint64
	running    multiversion.Release
	releases   []multiversion.Release
	upgrade    multiversion.Release // of a primary: the release that the cluster goes to, 0: none
	standby    bool
}

func (r *replica) encodeOffer(o offer) []byte {
	raw := make([]byte, offerSize)
	copy(raw[80:], r.member.cluster[:])
	binary.LittleEndian.PutUint32(raw[96:], offerSize)
	binary.LittleEndian.PutUint32(raw[104:], o.view)
	binary.LittleEndian.PutUint32(raw[108:], uint32(o.running))
	raw[114], raw[115] = commandOffer, byte(o.replica)
	binary.LittleEndian.PutUint64(raw[128:], o.checkpoint)
	binary.LittleEndian.PutUint32(raw[136:], uint32(o.upgrade))
	if o.standby {
		raw[140] = 1
	}
	raw[141] = byte(len(o.releases))
	for i, release := range o.releases {
		binary.LittleEndian.PutUint32(raw[256+4*i:], uint32(release))
	}
	sum := multiversion.ChecksumOf(raw[16:])
	copy(raw, sum[:])
	return raw
}

// decodeOffer reads an offer of this cluster.
func (r *replica) decodeOffer(raw []byte) (offer, bool) {
	sum := multiversion.ChecksumOf(raw[16:])
	if !slices.Equal(raw[:16], sum[:]) || !slices.Equal(raw[80:96], r.member.cluster[:]) || int(raw[141]) > multiversion.ReleasesMax {
		return offer{}, false
	}
	o := offer{
		replica: int(raw[115]), view: binary.LittleEndian.Uint32(raw[104:]), running: multiversion.Release(binary.LittleEndian.Uint32(raw[108:])),
		checkpoint: binary.LittleEndian.Uint64(raw[128:]), upgrade: multiversion.Release(binary.LittleEndian.Uint32(raw[136:])), standby: raw[140] != 0,
	}
	for i := range int(raw[141]) {
		o.releases = append(o.releases, multiversion.Release(binary.LittleEndian.Uint32(raw[256+4*i:])))
	}
	return o, true
}

// peers are the connections with the other replicas.
type peers struct {
	mu       sync.Mutex
	open     map[*os.File]struct{}
	received chan offer
}

// add takes a connection in, and reads what comes on it until it ends. First is what was read already.
func (r *replica) peer(connection *os.File, first []byte) {
	r.peers.mu.Lock()
	r.peers.open[connection] = struct{}{}
	r.peers.mu.Unlock()
	defer func() {
		r.peers.mu.Lock()
		delete(r.peers.open, connection)
		r.peers.mu.Unlock()
		connection.Close()
	}()
	from := io.MultiReader(bytes.NewReader(first), connection)
	for {
		raw := make([]byte, offerSize)
		if _, err := io.ReadFull(from, raw); err != nil {
			return
		}
		o, ok := r.decodeOffer(raw)
		if !ok {
			return
		}
		r.peers.received <- o
	}
}

// connect keeps connections with the replicas before this one; those after it connect themselves.
func (r *replica) connect(list string) {
	words := strings.Split(list, ",")
	for index := range min(r.member.index, len(words)) {
		address, err := own(list, index)
		if err != nil {
			continue
		}
		go func() {
			for {
				if connection, err := dial(address); err == nil {
					r.peer(connection, nil)
				}
				time.Sleep(second())
			}
		}()
	}
}

// tell sends an offer to all who are connected.
func (r *replica) tell(o offer) {
	raw := r.encodeOffer(o)
	r.peers.mu.Lock()
	defer r.peers.mu.Unlock()
	for connection := range r.peers.open {
		connection.SetWriteDeadline(time.Now().Add(second()))
		if _, err := connection.Write(raw); err != nil {
			connection.Close() // its reader takes it out
		}
	}
}

// second is how long a second of upstream's timers takes here.
func second() time.Duration {
	if scaled, err := time.ParseDuration(os.Getenv("STANDIN_SECOND")); err == nil && scaled > 0 {
		return scaled
	}
	return time.Second
}

// participate takes part in the cluster, and returns when it cannot execute what the cluster has come to.
func (r *replica) participate() error {
	remembered := make(map[int]offer)
	tick := time.NewTicker(second())
	quiet, heardAt := 0, time.Now()    // seconds since the primary was heard, and when that was
	heardOf := make(map[int]time.Time) // when each other replica was
	for seconds := 1; ; seconds++ {
		mine := offer{replica: r.member.index, view: r.member.view, checkpoint: r.member.checkpoint, running: r.release, releases: r.bundled, standby: r.member.standby}
		primary := !r.member.standby && r.primary(r.member.view) == r.member.index
		if primary {
			remembered[mine.replica] = mine
			quiet, heardAt = 0, time.Now()
			if seconds%countEvery == 0 {
				mine.upgrade = r.agreed(remembered)
			}
		}
		r.tell(mine)
		if mine.upgrade != 0 {
			r.log.Printf("upgrade: %s to %s", r.release, mine.upgrade)
			return r.follow(mine.upgrade)
		}
		for waiting := true; waiting; {
			select {
			case <-tick.C:
				waiting = false
			case heard := <-r.peers.received:
				if heard.view > r.member.view {
					if err := r.setView(heard.view); err != nil {
						return err
					}
				}
				if before := remembered[heard.replica]; !heard.standby && heard.checkpoint >= before.checkpoint && heard.view >= before.view {
					if !slices.Equal(heard.releases, before.releases) {
						r.log.Printf("replica %d offers %v", heard.replica, heard.releases)
					}
					remembered[heard.replica] = heard
				}
				switch {
				case heard.standby:
				case heard.replica == r.primary(r.member.view):
					quiet, heardAt = 0, time.Now()
				default:
					heardOf[heard.replica] = time.Now()
				}
				// The primary's word, or, for one that was away, what the others run by now.
				for _, target := range []multiversion.Release{heard.upgrade, heard.running} {
					if target > r.release && (target == heard.upgrade || heard.checkpoint > r.member.checkpoint) {
						return r.follow(target)
					}
				}
			}
		}
		r.look()
		if quiet++; quiet > silenceMax && time.Since(heardAt) > silenceLeast && !r.member.standby && r.majority(heardOf, heardAt) {
			quiet, heardAt = 0, time.Now()
			if err := r.setView(r.member.view + 1); err != nil {
				return err
			}
		}
		if churn() {
			if err := r.setView(r.member.view + 1); err != nil {
				return err
			}
		}
		if err := r.commit(); err != nil {
			return err
		}
		if seconds%60 == 0 {
			r.log.Printf("minute %d", seconds/60)
		}
	}
}

// majority says that more than half of the cluster is here, or was heard in the later half of the time since then.
func (r *replica) majority(heardOf map[int]time.Time, then time.Time) bool {
	here := 1
	for _, at := range heardOf {
		if time.Since(at) < time.Since(then)/2 {
			here++
		}
	}
	return here > r.member.count/2
}

// commit makes the last checkpoint durable that is no later than the operation up to which this replica is to have committed.
func (r *replica) commit() error {
	text, err := os.ReadFile(os.Getenv("STANDIN_COMMITS"))
	if err != nil {
		return nil // as far as it is
	}
	op, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return nil // it is being written
	}
	checkpoint := op - op%checkpointOps
	if checkpoint <= r.member.checkpoint {
		return nil
	}
	r.member.checkpoint = checkpoint
	return r.persist(func(s *superblock) { s.CheckpointOp, s.CommitMax = checkpoint, op })
}

// churn says that this replica is to change the view every second.
func churn() bool {
	_, err := os.Stat(os.Getenv("STANDIN_CHURN"))
	return err == nil
}

func (r *replica) primary(view uint32) int { return int(view % uint32(r.member.count)) }

// agreed is the newest release that enough replicas offer, 0 if there is none newer than the one that runs.
func (r *replica) agreed(remembered map[int]offer) multiversion.Release {
	need := r.member.count
	if r.release < quorumAll {
		need = max(r.member.count/2+1, r.member.count-1)
	}
	best := multiversion.Release(0)
	for _, candidate := range r.bundled {
		if candidate <= r.release || candidate < best {
			continue
		}
		have := 0
		for _, o := range remembered {
			if slices.Contains(o.releases, candidate) {
				have++
			}
		}
		if have >= need {
			best = candidate
		}
	}
	return best
}

// follow makes the release durable and executes it.
func (r *replica) follow(target multiversion.Release) error {
	if !slices.Contains(r.bundled, target) {
		return r.execute(target) // which says that it has not got it
	}
	if err := r.checkpoint(target); err != nil {
		return err
	}
	r.step("checkpointed")
	return r.transition()
}

// setView makes a view durable.
func (r *replica) setView(view uint32) error {
	r.log.Printf("view %d, primary %d", view, r.primary(view))
	r.memberLock.Lock()
	r.member.view = view
	r.memberLock.Unlock()
	return r.persist(func(s *superblock) { s.View = view })
}
