package rollout_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/rollout"
)

const simTarget = "/opt/tigerbeetle/tigerbeetle"

var (
	simOld      = release0177
	simNew      = release0178
	simArtifact = strings.Repeat("8", 64)
	simPrevious = strings.Repeat("7", 64)
	simChecksum = multiversion.ChecksumOf([]byte("0.17.8"))
	simBefore   = multiversion.ChecksumOf([]byte("0.17.7"))
)

// simFleet is a fleet in memory: hosts whose fences follow the rules of package fleet, and clusters that upgrade when
// all of their replicas are armed.
type simFleet struct {
	mu     sync.Mutex
	hosts  map[string]*simHost
	order  []string
	depots bool // each host has one
}

// simHost is one of its hosts, with one replica of one cluster.
type simHost struct {
	fleet   *simFleet
	name    string
	cluster string
	index   int
	count   int
	shown   fleet.Secret // at the last claim

	installed string
	armed     multiversion.Checksum
	running   multiversion.Release
	state     string // of the replica; "": running
	view      uint32
	started   time.Time
	stored    map[string]bool
	fence     *fleet.Fence
	holder    string // whose session is open; "": nobody's

	refuses   error    // the answer to a check
	warnings  []string // of each swap and restart
	advised   []byte   // the advisories that it was brought
	keepsNone bool     // it refuses them
	changes   []string // what was done to the target, in order
	sends     int
	copies    int
	shut      error // why nobody can copy from it

	unfetched error // why it cannot fetch from a registry

	// before is asked before each request is carried out, and after when it was, with what it is about. An error is the
	// answer; that of after is one of a request that was done.
	before func(ctx context.Context, request rollout.Request) error
	after  func(request rollout.Request) error
}

var errLost = &remote.SessionError{Host: "sim", Reason: remote.ReasonLost, Err: errors.New("the answer is lost")}

// simClusters makes clusters of hosts.
func simClusters(clusters, hosts int) *simFleet {
	f := &simFleet{hosts: make(map[string]*simHost)}
	for c := range clusters {
		for h := range hosts {
			name := fmt.Sprintf("tb%d.c%d", h, c)
			f.order = append(f.order, name)
			f.hosts[name] = &simHost{
				fleet: f, name: name, cluster: fmt.Sprintf("%032x", c+1), index: h, count: hosts,
				installed: simPrevious, armed: simBefore, running: simOld, view: 12, started: time.Unix(1_700_000_000, 0),
				stored: make(map[string]bool),
			}
		}
	}
	return f
}

// host returns a host by its name.
func (f *simFleet) host(name string) rollout.Host { return f.hosts[name] }

// do carries a request out as a host does.
func (h *simHost) do(ctx context.Context, request rollout.Request, what func() error) error {
	if h.before != nil {
		if err := h.before(ctx, request); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	h.fleet.mu.Lock()
	err := what()
	h.fleet.mu.Unlock()
	if err == nil && h.after != nil {
		err = h.after(request)
	}
	return err
}

func (h *simHost) Observe(ctx context.Context) (shown []fleet.Observation, err error) {
	err = h.do(ctx, rollout.RequestObserve, func() error {
		h.fleet.upgrade(h.cluster)
		release := simOld
		if h.installed == simArtifact {
			release = simNew
		}
		armed := h.armed
		var fence *fleet.Fence
		if h.fence != nil {
			copied := *h.fence
			fence = &copied
		}
		offered := simOld
		if armed == simChecksum {
			offered = simNew
		}
		shown = []fleet.Observation{{
			Host: h.name, Target: simTarget, Machine: strings.ReplaceAll(h.name, ".", "-"), Boot: "boot-" + h.name, Tbctl: "devel", Platform: multiversion.HostPlatform("linux", "amd64"),
			Installed: &fleet.InstalledFile{SHA256: "sha256:" + h.installed, Size: 1000, Release: release, Releases: []multiversion.Release{simOld, release}},
			Fence:     fence, Alive: h.holder != "", Room: 1 << 30, StoreRoom: 1 << 30,
			Replicas: []fleet.Replica{{
				PID: 100, Started: h.started, Polls: true, Cluster: h.cluster, Index: h.index, Count: h.count, State: cmp.Or(h.state, "running"),
				Running: h.running, Durable: h.running, Armed: &armed, ArmedRelease: offered, Answers: true, View: h.view, Checkpoint: 100, Peers: h.count - 1,
			}},
		}}
		return nil
	})
	return shown, err
}

// upgrade lets a cluster run the new release once all of its replicas are armed with it. The lock is held.
func (f *simFleet) upgrade(cluster string) {
	for _, h := range f.hosts {
		if h.cluster == cluster && h.armed != simChecksum {
			return
		}
	}
	for _, h := range f.hosts {
		if h.cluster == cluster {
			h.running = simNew
		}
	}
}

func (h *simHost) Store(ctx context.Context) (artifacts []depot.Artifact, err error) {
	err = h.do(ctx, rollout.RequestObserve, func() error {
		for digest := range h.stored {
			artifacts = append(artifacts, depot.Artifact{SHA256: digest, Size: 1000})
		}
		return nil
	})
	return artifacts, err
}

func (h *simHost) Lacks(context.Context, string, *rollout.Artifact) (int64, error) { return 0, nil }

func (h *simHost) Send(ctx context.Context, _ string, artifact *rollout.Artifact) (sent rollout.Sent, err error) {
	err = h.do(ctx, rollout.RequestSend, func() error {
		h.stored[artifact.SHA256] = true
		h.sends++
		sent.Bytes = artifact.Size
		return nil
	})
	return sent, err
}

func (h *simHost) OpenDepot(context.Context, string, string) (remote.DepotAnswer, error) {
	return remote.DepotAnswer{Token: h.name}, nil
}

func (h *simHost) Copy(ctx context.Context, request remote.CopyRequest) (sent rollout.Sent, err error) {
	err = h.do(ctx, rollout.RequestSend, func() error {
		if request.URL != "" {
			if h.unfetched != nil {
				return h.unfetched
			}
			h.stored[request.Artifact] = true
			h.copies++
			sent.Copied, sent.Had = request.Size/2, request.Size/2
			return nil
		}
		from := h.fleet.hosts[request.Token]
		switch {
		case request.From != from.name+":3443" || !from.stored[request.Artifact]:
			return fault.New(fault.Usage, "there is nothing to be copied")
		case from.shut != nil:
			return &remote.SourceError{From: request.From, Err: from.shut}
		}
		h.stored[request.Artifact] = true
		h.copies++
		sent.Copied = request.Size / 2
		sent.Had = request.Size / 2
		return nil
	})
	return sent, err
}

func (h *simHost) fenced(err error) error {
	var failed *fleet.FencedError
	if errors.As(err, &failed) {
		return &remote.AnswerError{Host: h.name, Answer: remote.ErrorAnswer{Class: fault.Fenced, Message: err.Error(), Reason: failed.Reason, Stored: failed.Stored}}
	}
	return err
}

func (h *simHost) Claim(ctx context.Context, request remote.ClaimRequest) (fence fleet.Fence, err error) {
	err = h.do(ctx, rollout.RequestClaim, func() error {
		h.shown = request.Secret
		if err := fleet.Prove(h.fence, request.Fence, request.Secret); err != nil {
			return h.fenced(err)
		}
		alive := h.holder != "" && h.holder != request.Fence.Holder.ID
		granted, err := fleet.Claim(h.fence, request.Fence, alive, request.TakeOver)
		if err != nil {
			return h.fenced(err)
		}
		if granted.Previous == "" {
			granted.Previous = "sha256:" + h.installed
		}
		h.fence, h.holder, fence = &granted, granted.Holder.ID, granted
		return nil
	})
	return fence, err
}

func (h *simHost) Check(ctx context.Context, request remote.CheckRequest) ([]string, error) {
	return nil, h.do(ctx, rollout.RequestCheck, func() error {
		if !h.stored[request.Artifact] {
			return fault.New(fault.Failed, "it is not in the store")
		}
		return h.refuses
	})
}

func (h *simHost) Restart(ctx context.Context, request remote.RestartRequest) ([]string, error) {
	return h.warnings, h.do(ctx, rollout.RequestRestart, func() error {
		if err := cmp.Or(fleet.Prove(h.fence, request.Fence, request.Secret), fleet.Match(h.fence, request.Fence)); err != nil {
			return h.fenced(err)
		}
		h.armed = simBefore
		if h.installed == simArtifact {
			h.armed = simChecksum
		}
		h.started = h.started.Add(time.Hour)
		h.changes = append(h.changes, "restart")
		return nil
	})
}

func (h *simHost) Advise(ctx context.Context, request remote.AdvisoriesRequest) error {
	h.fleet.mu.Lock()
	defer h.fleet.mu.Unlock()
	h.advised = request.List
	if h.keepsNone {
		return errors.New("host " + h.name + ": nothing is kept")
	}
	return nil
}

func (h *simHost) Phase(ctx context.Context, request remote.PhaseRequest) error {
	return h.do(ctx, rollout.RequestPhase, func() error {
		if err := cmp.Or(fleet.Prove(h.fence, request.Fence, request.Secret), fleet.Match(h.fence, request.Fence)); err != nil {
			return h.fenced(err)
		}
		h.fence.Phase = request.Phase
		return nil
	})
}

func (h *simHost) Swap(ctx context.Context, request remote.SwapRequest) ([]string, error) {
	return h.warnings, h.do(ctx, rollout.RequestSwap, func() error {
		if err := cmp.Or(fleet.Prove(h.fence, request.Fence, request.Secret), fleet.Match(h.fence, request.Fence)); err != nil {
			return h.fenced(err)
		}
		if request.Artifact == simArtifact && !h.stored[simArtifact] {
			return fault.New(fault.Failed, "it is not in the store")
		}
		if err := h.fence.Allows("sha256:"+request.Artifact, request.Phase); err != nil {
			return err
		}
		h.installed, h.fence.Phase = request.Artifact, request.Phase
		if request.Artifact == simArtifact { // what was offered is taken back by a restart alone
			h.armed = simChecksum
		}
		h.changes = append(h.changes, "swap "+request.Artifact[:1])
		return nil
	})
}

func (h *simHost) Close() error {
	h.fleet.mu.Lock()
	defer h.fleet.mu.Unlock()
	h.holder = ""
	return nil
}
