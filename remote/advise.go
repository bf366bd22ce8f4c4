package remote

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
)

const (
	// A list of what is to be known of releases comes with a rollout.
	//
	//	POST /v1/advisories  AdvisoriesRequest -> {}, when it is kept
	pathAdvisories = "/v1/advisories"

	// advisoriesSizeMax is the most bytes of such a request: of a list in base64, and the rest.
	advisoriesSizeMax = 512 << 10
)

// AdvisoriesRequest brings the list of advisories of a rollout's plan to a host that the run has claimed. The host warns by it besides its own.
type AdvisoriesRequest struct {
	Target string       `json:"target"`
	Fence  fleet.Fence  `json:"fence"`
	Secret fleet.Secret `json:"secret"` // that the run shows to this host, see [fleet.Secret.For]
	List   []byte       `json:"list"`   // as it was published
}

// Advise brings a list of advisories to a host, and returns when it is kept there.
func (s *Session) Advise(ctx context.Context, request AdvisoriesRequest) error {
	return s.ask(ctx, http.MethodPost, pathAdvisories, request, &struct{}{})
}

func (h *Host) advise(w http.ResponseWriter, r *http.Request) {
	var request AdvisoriesRequest
	target, end, err := h.begin(r, &request, func() string { return request.Target })
	if err == nil {
		defer end()
		err = h.advised(r.Context(), target, request)
	}
	if err != nil {
		answerError(w, err)
		return
	}
	answer(w, http.StatusOK, struct{}{})
}

func (h *Host) advised(ctx context.Context, target string, request AdvisoriesRequest) error {
	err := h.acts(ctx, target, request.Fence, request.Secret)
	if err == nil && h.KeepAdvisories == nil {
		err = fault.New(fault.Refused, "this host keeps none")
	}
	if err == nil {
		err = h.KeepAdvisories(request.List, request.Fence)
	}
	if err != nil {
		return fmt.Errorf("keep the advisories of the plan: %w", err)
	}
	return nil
}
