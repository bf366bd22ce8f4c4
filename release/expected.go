package release

import (
	"context"
	"slices"
	"strings"
)

// A Had is what an earlier Fetch brought, as its caller has noted it, and has compared with the bytes that are there
// now. Empty fields are not known.
type Had struct {
	AssetSHA256      string
	AssetSize        int64
	ExecutableSHA256 string
	ExecutableSize   int64

	Location  string // as in [Fetched]; empty: nothing was noted but what the executable is
	Validator string // as in [Fetched]
}

func (h Had) measured() measured {
	return measured{assetSHA256: h.AssetSHA256, assetSize: h.AssetSize, executableSHA256: h.ExecutableSHA256, executableSize: h.ExecutableSize}
}

// Known reports whether the caller has what Fetch would bring, without asking for the bytes: by what vouches for
// them, or, where nothing does, by the strong ETag under which the server gave them. The result is then what Fetch would
// return, as far as it is known. Where nothing was noted, no request is made. Errors are those of [Artifact.Expected].
func (a Artifact) Known(ctx context.Context, had Had) (Fetched, bool, error) {
	f := Fetched{About: a.About, AssetSize: had.AssetSize, AssetSHA256: had.AssetSHA256, ExecutableSize: had.ExecutableSize, ExecutableSHA256: had.ExecutableSHA256}
	f.Validator = had.Validator
	var known bool
	if f.Evidence, known = a.matches(had); !known && had.Location != "" {
		expected, err := a.Expected(ctx)
		f.TokenNote = expected.TokenNote
		if err != nil {
			return f, false, err
		}
		if f.Evidence, known = expected.matches(had); !known {
			known = expected.unchanged(ctx, had)
		}
	}
	f.Trusted = known && AnyHeld(f.Evidence)
	return f, known, nil
}

// An Expected is what is stated about an artifact, and was found out without fetching it.
type Expected struct {
	// TokenNote is as in [Fetched].
	TokenNote string

	artifact Artifact // with the tag that "latest" stands for, where that is known
	claims   []Claim
}

// Expected asks all that vouch for the artifact. The bytes themselves are not asked for. The next Fetch of the same
// artifact goes on with what was found.
//
// Errors are those of [Artifact.Fetch] that come before the first byte: [*UnavailableError], an
// [*ArtifactError] for what contradicts itself or is required and not there, [ErrOption], the context's.
func (a Artifact) Expected(ctx context.Context) (Expected, error) {
	if err := a.begin(); err != nil {
		return Expected{}, err
	}
	defer a.session.end()
	claims, err := a.gather(ctx)
	e := Expected{a.session.refusal, a, claims}
	if err != nil {
		return e, a.final(err, &Fetched{})
	}
	a.session.gathered = &e
	return e, nil
}

// gather finds out what is claimed, or takes what Expected has found.
func (a *Artifact) gather(ctx context.Context) ([]Claim, error) {
	if found := a.session.gathered; found != nil {
		a.session.gathered = nil
		*a = found.artifact
		return found.claims, nil
	}
	a.pinLatest(ctx)
	return a.claims(ctx)
}

// Open reports whether something is stated with which the bytes must be compared.
func (e Expected) Open() bool { return slices.ContainsFunc(e.claims, Claim.open) }

// Judge compares what is stated with bytes that the caller has, as Fetch does with those that it brings. The error is
// an [*ArtifactError] when something did not hold, or what is required did not. A signature is not checked so.
func (e Expected) Judge(had Had) ([]Evidence, error) {
	evidence, err := e.artifact.judge(e.claims, had.measured())
	if err != nil {
		err = &ArtifactError{e.artifact.Location, err}
	}
	return evidence, err
}

// matches reports whether Fetch would bring what the caller has: at least one digest is stated, every one holds,
// and nothing that only the bytes can show is asked for, as a signature is. Without such a thing, the evidence is
// what Fetch would return.
func (e Expected) matches(had Had) ([]Evidence, bool) {
	if slices.ContainsFunc(e.claims, func(c Claim) bool { return c.open() && c.Watch != nil }) {
		return nil, false
	}
	evidence := make([]Evidence, len(e.claims))
	same, held := true, false
	for i, c := range e.claims {
		evidence[i] = c.judge(had.measured(), nil)
		same = same && evidence[i].Status != StatusFailed
		held = held || evidence[i].Status == StatusHeld && !c.Weak
	}
	return evidence, same && held
}

// unchanged asks the server whether it still has what it gave the caller, by the strong ETag under which it gave
// it: for an artifact of which no digest is stated, as GitHub's are without its API. Only headers come. It is
// as good as a resumed download: it finds another file under the same name, and believes a server that gives
// other bytes the same ETag. When something is required of the bytes, or the server does not answer so, it is
// false, and Fetch is the way.
func (e Expected) unchanged(ctx context.Context, had Had) bool {
	a := e.artifact
	w, remote := a.source.(*webSource)
	if !remote || a.options.Require != RequireNothing || had.Location != a.Location || !strings.HasPrefix(had.Validator, `"`) || e.Open() {
		return false
	}
	if a.begin() != nil {
		return false
	}
	defer a.session.end()
	return w.unchanged(ctx, had.Validator, had.AssetSize)
}

// matches is that of Expected for the SHA-256 in the options alone, without any request: what has that SHA-256 need not be asked for. It is false when anything else is asked for.
func (a Artifact) matches(had Had) ([]Evidence, bool) {
	if a.options.SHA256 == "" || a.options.AskGitHub || a.options.PublicKey != "" || a.more != nil {
		return nil, false
	}
	return Expected{artifact: a, claims: knownDigest(a.options.SHA256).Ask(context.Background(), &a)}.matches(had)
}
