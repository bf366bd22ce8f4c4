package fleet

// Stated is what a plan says of who vouched for its artifact when it was imported. A host that is told so has not checked it.
type Stated struct {
	Source  string   `json:"source"`            // where it was imported from, without credentials; at most 1 KiB, one line
	Vouched []string `json:"vouched,omitempty"` // the kinds of evidence that held; empty: nothing did
}

// Stated is what the plan says of who vouched for the artifact.
func (a *Artifact) Stated() Stated { return Stated{a.Source, a.Vouched} }

// Check refuses what no plan says.
func (s *Stated) Check() error {
	wrong := func(field string, value any) error { return planError("artifact's "+field, value) }
	switch {
	case !isLine(s.Source, sourceMax):
		return wrong("source", s.Source)
	case len(s.Vouched) > vouchedMax:
		return wrong("number of vouchers", len(s.Vouched))
	}
	for _, kind := range s.Vouched {
		if !isName(kind) {
			return wrong("voucher", kind)
		}
	}
	return nil
}
