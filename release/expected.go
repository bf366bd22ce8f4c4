package release

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// A Had is what an earlier Fetch brought, as its caller has noted it. Empty fields are not known.
type Had struct {
	AssetSHA256      string
	AssetSize        int64
	ExecutableSHA256 string
	ExecutableSize   int64

	Location  string // as in [Fetched]
	Validator string // as in [Fetched]
}

// An Expected is what is stated about an artifact, and was found out without fetching it.
type Expected struct {
	// Tag is the release, empty when it is not known. For "latest" it is what that stands for, if GitHub's API
	// was asked.
	Tag Tag
	// TokenNote is as in [Fetched].
	TokenNote string

	artifact Artifact
	claims   []claim
}

// Expected asks for everything that states what the artifact's bytes are: the SHA-256 in the options,
// SHA256SUMS and a signature beside it, GitHub's digest. The bytes themselves are not asked for. The next
// Fetch of the same artifact goes on with what was found.
//
// Errors are those of [Artifact.Fetch] that come before the first byte: [*UnavailableError], an
// [*ArtifactError] for what contradicts itself or is required and not there, [ErrOption], the context's.
func (a Artifact) Expected(ctx context.Context) (Expected, error) {
	if err := a.fetchable(); err != nil {
		return Expected{}, err
	}
	s, err := newSession(a.options, a.way, a.onNetwork())
	if err != nil {
		return Expected{}, err
	}
	defer s.close()
	g, err := a.gather(ctx, s)
	e := Expected{Tag: g.tag(), TokenNote: s.way.tokenRefusal(), artifact: g.artifact, claims: g.claims}
	if err != nil {
		return e, a.final(err, &Fetched{})
	}
	a.way.keep(&g)
	return e, nil
}

// SHA256 returns the SHA-256 sums that are stated, each once: of the asset, of the executable, and one of
// which it is not said what of the two it is of.
func (e Expected) SHA256() (asset, executable, either []string) {
	for _, c := range e.claims {
		if !c.open() || c.weak || c.sha256 == "" {
			continue
		}
		list := &either
		switch c.of {
		case ofAsset:
			list = &asset
		case ofExecutable:
			list = &executable
		}
		if !slices.Contains(*list, c.sha256) {
			*list = append(*list, c.sha256)
		}
	}
	return asset, executable, either
}

// Matches reports whether Fetch would bring what the caller has: at least one digest is stated, every one holds,
// and nothing that only the bytes can show is asked for, as a signature is. Without such a thing, the evidence is
// what Fetch would return. What an earlier Fetch brought must have been compared with the bytes that are there now.
func (e Expected) Matches(had Had) ([]Evidence, bool) {
	evidence := make([]Evidence, 0, len(e.claims))
	same, held := true, false
	for _, c := range e.claims {
		if c.open() && c.signature != nil {
			return nil, false
		}
		found := e.artifact.judgeOne(c, measured{
			assetSHA256: had.AssetSHA256, assetSize: had.AssetSize,
			executableSHA256: had.ExecutableSHA256, executableSize: had.ExecutableSize,
		})
		same = same && found.Status != StatusFailed
		held = held || found.Status == StatusHeld && !c.weak
		evidence = append(evidence, found)
	}
	return evidence, same && held
}

// Judge compares what is stated with bytes that the caller has, as Fetch does with those that it brings. The error is
// an [*ArtifactError] when something did not hold, or what is required did not. A signature cannot be judged so.
func (e Expected) Judge(had Had) ([]Evidence, error) {
	evidence, err := e.artifact.judge(e.claims, measured{
		assetSHA256: had.AssetSHA256, assetSize: had.AssetSize,
		executableSHA256: had.ExecutableSHA256, executableSize: had.ExecutableSize,
	})
	if err != nil {
		err = &ArtifactError{e.artifact.Location, err}
	}
	return evidence, err
}

// Open reports whether something is stated with which the bytes must be compared.
func (e Expected) Open() bool { return slices.ContainsFunc(e.claims, claim.open) }

// Unchanged asks the server whether it still has what it gave the caller, by the strong ETag under which it gave
// it: for an artifact of which no digest is stated, as GitHub's are without its API. Only headers come. It is
// as good as a resumed download: it finds another file under the same name, and believes a server that gives
// other bytes the same ETag. When something is required of the bytes, or the server does not answer so, it is
// false, and Fetch is the way.
func (e Expected) Unchanged(ctx context.Context, had Had) bool {
	a := e.artifact
	if a.url == nil || a.options.Require != RequireNothing || had.Location != a.Location || !strings.HasPrefix(had.Validator, `"`) {
		return false
	}
	if slices.ContainsFunc(e.claims, claim.open) { // what is stated decides
		return false
	}
	s, err := newSession(a.options, a.way, true)
	if err != nil {
		return false
	}
	defer s.close()
	if s.way.silence(s.client.server(a.url)) != nil {
		return false
	}
	resp, err := s.client.do(ctx, http.MethodHead, a.url, nil)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK && validatorOf(resp.Header) == had.Validator &&
		(resp.ContentLength < 0 || resp.ContentLength == had.AssetSize)
}

// Matches is [Expected.Matches] for the SHA-256 in the options alone, without any request: whoever has what it is of
// need not ask anybody. It is false when anything else is asked for.
func (a Artifact) Matches(had Had) ([]Evidence, bool) {
	if a.options.SHA256 == "" || a.options.AskGitHub || a.options.PublicKey != "" {
		return nil, false
	}
	return Expected{artifact: a, claims: []claim{{kind: EvidenceSHA256, sha256: a.options.SHA256, length: -1}}}.Matches(had)
}

// gathered is what is stated about an artifact before its first byte comes.
type gathered struct {
	artifact Artifact // with the tag that "latest" stands for, where that is known
	claims   []claim
}

func (g *gathered) tag() Tag {
	if g.artifact.Tag == Latest {
		return ""
	}
	return g.artifact.Tag
}

// gather finds out what is stated, or takes what Expected has found.
func (a Artifact) gather(ctx context.Context, s *session) (gathered, error) {
	if found := a.way.take(); found != nil {
		return *found, nil
	}
	unpinned := a.pinLatest(ctx, s)
	claims, err := a.claims(ctx, s, unpinned)
	return gathered{artifact: a, claims: claims}, err
}
