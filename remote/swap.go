package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/handover"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

func (h *Host) swap(w http.ResponseWriter, r *http.Request) {
	var request SwapRequest
	target, end, err := h.begin(r, &request, func() string { return request.Target })
	var outcome *install.Outcome
	if err == nil {
		defer end()
		outcome, err = h.swapped(r.Context(), target, request)
	}
	if err != nil {
		var warnings []string
		if outcome != nil && outcome.Plan != nil {
			warnings = outcome.Plan.Warnings
		}
		h.refuse(w, err, swapCommand(request), target, warnings...)
		return
	}
	answer(w, http.StatusOK, outcome)
}

// swapCommand is the command that does what a request asks for.
func swapCommand(request SwapRequest) string {
	if request.Phase == fleet.PhaseAborting {
		return commandRollback
	}
	return commandInstall
}

// swapped puts an artifact of the store at a target.
func (h *Host) swapped(ctx context.Context, target string, request SwapRequest) (*install.Outcome, error) {
	if err := sha.Check(request.Artifact); err != nil {
		return nil, err
	}
	if err := h.acts(ctx, target, request.Fence, request.Secret); err != nil {
		return nil, fmt.Errorf("swap: %w", err)
	}
	place, back, err := h.allowed(target, request)
	if err != nil {
		return nil, err
	}
	site := &host.Site{Installer: h.Installer, Target: target}
	// While a run aborts it has every host of the cluster, so that none can upgrade, and it restarts the replicas next.
	site.Said.Restart, site.Said.AllowDowngrade = back, back
	if err := sha.Check(request.Displaces); request.Displaces != "" && err != nil {
		return nil, err
	}
	if back && h.keptBeside(ctx, place, request.Artifact) {
		return site.Rollback(ctx, request.back(), false)
	}
	file, err := h.Store.Open(request.Artifact)
	if back && errors.Is(err, fs.ErrNotExist) {
		err = fault.New(fault.Failed, fmt.Sprintf("the file that is to be put back, sha256:%[1]s, is neither beside %[2]s nor in this host's store: bring it there, tbctl store import FILE --sha256 %[1]s", request.Artifact, target))
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := request.Stated.Check(); err != nil {
		return nil, fault.New(fault.Usage, err.Error())
	}
	swap := h.ofStore(request.Artifact, file)
	swap.Fence, swap.Phase, swap.Displaces, swap.Wait = &request.Fence, request.Phase, request.Displaces, lockWait
	get := h.fetchOf(request.Artifact, file)
	if h.required() != release.RequireNothing {
		pushed, err := h.pushed(request.Artifact, request.Signature)
		if err != nil {
			return nil, err
		}
		get = handover.Fetch(pushed, pushed.Fetch)
	}
	outcome, err := site.Install(ctx, swap, request.stated(get), false)
	if err == nil && !back {
		if failed := h.Store.AddReceipts(ctx, request.Artifact, request.receipt()); failed != nil {
			outcome.Plan.Warnings = append(outcome.Plan.Warnings, fmt.Sprintf("what the plan says of who vouched for the file is not noted in the store: %v", failed))
		}
	}
	return outcome, err
}

// stated is a fetch whose origin says what the plan says of who vouched for the file. It counts for nothing: this host has not checked it.
func (r SwapRequest) stated(get install.Fetch) install.Fetch {
	return func(ctx context.Context, to io.Writer) (install.Origin, error) {
		origin, err := get(ctx, to)
		for _, kind := range r.Stated.Vouched {
			if !slices.ContainsFunc(origin.Trust, func(t install.Trust) bool { return t.Kind == kind }) {
				origin.Trust = append(origin.Trust, install.Trust{Kind: kind, Status: string(release.StatusNotChecked), Of: "executable", Detail: install.StatedByPlan})
			}
		}
		return origin, err
	}
}

// receipt says in the store what the plan says.
func (r SwapRequest) receipt() depot.Receipt {
	return depot.Receipt{
		Kind: depot.KindPlan, By: r.Fence.Plan, Source: r.Stated.Source, Who: r.Fence.Holder.Who, Time: time.Now().UTC(), Said: strings.Join(r.Stated.Vouched, ", "),
	}
}

// back asks for the file beside the target to be put back. The digest comes from the other end, or from what was there when the host was
// claimed: by naming it nobody here has said that the file may have the rights of the installed one.
func (r SwapRequest) back() install.Request {
	return install.Request{Back: r.Artifact, Displaces: r.Displaces, Fence: &r.Fence, Phase: r.Phase, Wait: lockWait}
}

// ofStore asks for an artifact of the store to be installed, and fetchOf copies it. One whose bytes have changed since it was
// stored is set aside, so that it is sent again.
func (h *Host) ofStore(artifact string, file *depot.File) install.Request {
	return install.Request{Source: sha.Name(artifact), SizeHint: file.Size(), Host: multiversion.ThisPlatform(), Near: true}
}

func (h *Host) fetchOf(artifact string, file *depot.File) install.Fetch {
	return func(ctx context.Context, to io.Writer) (install.Origin, error) {
		sum := sha256.New()
		_, err := io.Copy(io.MultiWriter(to, sum), io.NewSectionReader(file, 0, file.Size()))
		if err == nil && hex.EncodeToString(sum.Sum(nil)) != artifact {
			if err = h.Store.Check(ctx, artifact); err == nil {
				err = fmt.Errorf("%s: %w", h.Store.Path(artifact), depot.ErrExchanged)
			}
		}
		return install.Origin{Source: sha.Name(artifact), SHA256: artifact, ExecutableSHA256: artifact}, err
	}
}

// allowed refuses what the stored fence does not let through, before anything is opened or looked at, and says whether the file that was
// there before the plan is to be put back. Under the lock it is asked again.
func (h *Host) allowed(target string, request SwapRequest) (place fsatomic.Target, back bool, err error) {
	place, err = fsatomic.Lookup(h.Installer.FS, target)
	if err != nil {
		return place, false, fmt.Errorf("swap: %w", err)
	}
	stored, _, err := h.Installer.FenceOf(place)
	if err == nil {
		err = fleet.Match(stored, request.Fence)
	}
	if err == nil {
		err = stored.Allows(sha.Name(request.Artifact), request.Phase)
	}
	if err != nil {
		return place, false, fmt.Errorf("swap: %s: %w", target, err)
	}
	return place, sha.Name(request.Artifact) != stored.Artifact, nil
}

// keptBeside says that an artifact is the previous file of a target, and not the installed one: then both change places, for which no
// room is needed and nothing has to be in the store.
func (h *Host) keptBeside(ctx context.Context, place fsatomic.Target, artifact string) bool {
	is := func(there bool, path string, seen vfs.Info) bool {
		if !there {
			return false
		}
		file, err := install.DescribeSeen(ctx, h.Installer.FS, path, seen)
		return err == nil && file.SHA256 == artifact
	}
	return is(place.OldExists, place.OldPath, place.Old) && !is(place.Exists, place.Path, place.File)
}
