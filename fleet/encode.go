package fleet

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/multiversion"
)

const (
	// PlanSizeMax is the most bytes of a plan's file.
	PlanSizeMax = 16 << 20
	// planValuesMax is the most values in it: a thousand clusters of twelve hosts have fewer.
	planValuesMax = 1 << 18

	clustersMax  = 1000
	hostsMax     = 12 // of a cluster: six replicas and six standbys
	replicasMax  = 6  // of a cluster, without standbys
	standbysMax  = 6
	nameMax      = 64   // bytes of a cluster's name
	hostNameMax  = 255  // bytes
	pathMax      = 4096 // bytes
	sourceMax    = 4096 // bytes
	vouchedMax   = 16
	signatureMax = 4096 // bytes
	despiteMax   = 64
	soakMax      = 30 * 24 * time.Hour
	wavesMax     = clustersMax
	releasesMax  = multiversion.ReleasesMax
	artifactMax  = multiversion.SizeMax
)

// ErrPlan says that a file is not a plan.
var ErrPlan = fault.New(fault.Usage, "not a plan")

// Encode returns the plan's file. Its bytes depend on nothing but the plan.
func (p *Plan) Encode() ([]byte, error) {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	return append(text, '\n'), nil
}

// PlanID names a plan by its file: sha256:HEX.
func PlanID(text []byte) string {
	sum := sha256.Sum256(text)
	return sha.Name(hex.EncodeToString(sum[:]))
}

// ParsePlan reads a plan's file, and returns the plan and its id. A field that is not known is an error: it may say
// something that this tbctl would not do. The error wraps [ErrPlan].
func ParsePlan(text []byte) (*Plan, string, error) {
	if len(text) > PlanSizeMax {
		return nil, "", fmt.Errorf("%w: larger than %d bytes", ErrPlan, PlanSizeMax)
	}
	if bytes.Count(text, []byte(","))+bytes.Count(text, []byte("{"))+bytes.Count(text, []byte("[")) > planValuesMax {
		return nil, "", fmt.Errorf("%w: more than %d values", ErrPlan, planValuesMax)
	}
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &version); err == nil && version.Version > PlanVersion {
		return nil, "", fmt.Errorf("%w of a version that this tbctl knows: it has version %d, and %d is the newest known", ErrPlan, version.Version, PlanVersion)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	p := new(Plan)
	if err := decoder.Decode(p); err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrPlan, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, "", fmt.Errorf("%w: something follows it", ErrPlan)
	}
	if err := p.Check(); err != nil {
		return nil, "", err
	}
	return p, PlanID(text), nil
}

// Check says what is wrong with a plan; the error wraps [ErrPlan].
func (p *Plan) Check() error {
	wrong := func(field string, value any) error { return planError(field, value) }
	switch {
	case p.Version != PlanVersion:
		return wrong("version", p.Version)
	case !isLine(p.Author, whoSizeMax) || p.Author == "":
		return wrong("author", p.Author)
	case p.Generation == 0 || p.Generation > GenerationMax:
		return wrong("generation", p.Generation)
	case len(p.Despite) > despiteMax:
		return wrong("number of advisories", len(p.Despite))
	case len(p.Clusters) > clustersMax:
		return wrong("number of clusters", len(p.Clusters))
	}
	for _, id := range p.Despite {
		if !isName(id) {
			return wrong("advisory", id)
		}
	}
	if err := p.Advisories.check(); err != nil {
		return err
	}
	if err := p.Artifact.check(); err != nil {
		return err
	}
	names, ids, targets := map[string]bool{}, map[string]bool{}, map[[2]string]bool{}
	wave := 1
	for i := range p.Clusters {
		c := &p.Clusters[i]
		if err := c.check(&p.Artifact); err != nil {
			return fmt.Errorf("cluster %q: %w", clip(c.Name), err)
		}
		switch {
		case names[c.Name]:
			return wrong("two clusters with the name", c.Name)
		case ids[c.ID]:
			return wrong("two clusters with the id", c.ID)
		case c.Wave < wave:
			return wrong("wave after a later one", c.Wave)
		}
		names[c.Name], ids[c.ID], wave = true, true, c.Wave
		for _, h := range c.Hosts {
			at := [2]string{h.Name, h.Target}
			if targets[at] {
				return wrong("two places", h.Name+" "+h.Target)
			}
			targets[at] = true
		}
	}
	return nil
}

func (a *Artifact) check() error {
	wrong := func(field string, value any) error { return planError("artifact's "+field, value) }
	switch {
	case !sha.IsName(a.SHA256):
		return wrong("sha256", a.SHA256)
	case a.Size <= 0 || a.Size > artifactMax:
		return wrong("size", a.Size)
	case a.Deflated < 0 || a.Deflated > artifactMax:
		return wrong("deflated size", a.Deflated)
	case a.Platform != multiversion.PlatformX86_64Linux && a.Platform != multiversion.PlatformAArch64Linux:
		return wrong("platform", a.Platform)
	case len(a.Releases) == 0 || len(a.Releases) > releasesMax:
		return wrong("number of releases", len(a.Releases))
	case !ascending(a.Releases) || a.Releases[0] == 0:
		return wrong("releases", releaseList(a.Releases))
	case a.Release != a.Releases[len(a.Releases)-1]:
		return wrong("release", a.Release)
	case a.Checksum == multiversion.Checksum{}:
		return wrong("checksum", a.Checksum)
	case len(a.Signature) > signatureMax || !utf8.ValidString(a.Signature):
		return wrong("signature", a.Signature)
	case !isLine(a.SignedBy, signatureMax):
		return wrong("public key", a.SignedBy)
	case len(a.Visits) > releasesMax || !ascending(a.Visits):
		return wrong("visits", releaseList(a.Visits[:min(len(a.Visits), releasesMax)]))
	}
	for _, visit := range a.Visits {
		if !a.holds(visit) {
			return wrong("visit", visit)
		}
	}
	for release := range a.ClientMins {
		if !a.holds(release) || release == a.Release {
			return wrong("client minimum of", release)
		}
	}
	stated := a.Stated()
	return stated.Check()
}

func (c *PlannedCluster) check(a *Artifact) error {
	switch {
	case !isName(c.Name):
		return planError("name", c.Name)
	case !isID(c.ID):
		return planError("id", c.ID)
	case c.Wave < 1 || c.Wave > wavesMax:
		return planError("wave", c.Wave)
	case c.Soak < 0 || c.Soak > soakMax:
		return planError("soak", c.Soak)
	case c.Replicas < 1 || c.Replicas > replicasMax:
		return planError("number of replicas", c.Replicas)
	case c.Standbys < 0 || c.Standbys > standbysMax:
		return planError("number of standbys", c.Standbys)
	case c.Running >= a.Release || !a.holds(c.Running):
		return planError("running release", c.Running)
	case !slices.Equal(c.Hops, a.Hops(c.Running)):
		return planError("hops", releaseList(c.Hops[:min(len(c.Hops), releasesMax)]))
	case c.Holdback != Holdback(c.Running, c.Replicas):
		return planError("holdback", c.Holdback)
	case len(c.Hosts) == 0 || len(c.Hosts) > hostsMax:
		return planError("number of hosts", len(c.Hosts))
	}
	var members [replicasMax + standbysMax]bool
	count := 0
	for i := range c.Hosts {
		h := &c.Hosts[i]
		if err := h.check(a); err != nil {
			return fmt.Errorf("host %q: %w", clip(h.Name), err)
		}
		for _, r := range h.Replicas {
			if r.Index < 0 || r.Index >= len(members) || members[r.Index] || r.Standby != (r.Index >= c.Replicas) {
				return planError("replica", r.Index)
			}
			members[r.Index] = true
			count++
		}
	}
	for index := range c.Replicas {
		if !members[index] {
			return planError("no host for replica", index)
		}
	}
	if count != c.Replicas+c.Standbys {
		return planError("number of standbys", c.Standbys)
	}
	return nil
}

func (h *PlannedHost) check(a *Artifact) error {
	switch {
	case !isHostName(h.Name):
		return planError("name", h.Name)
	case !isPath(h.Target):
		return planError("target", h.Target)
	case h.Depot != "" && (len(h.Depot) > hostNameMax || !onlyOf(h.Depot, letters+".-:[]%") || !strings.Contains(h.Depot, ":")):
		return planError("depot", h.Depot)
	case h.Machine != "" && !isID(h.Machine):
		return planError("machine id", h.Machine)
	case !sha.IsName(h.Previous) || h.Previous == a.SHA256:
		return planError("previous file", h.Previous)
	case h.Lacks < 0 || h.Lacks > artifactMax:
		return planError("bytes that it lacks", h.Lacks)
	case len(h.Replicas) == 0 || len(h.Replicas) > replicasMax+standbysMax:
		return planError("number of replicas", len(h.Replicas))
	}
	return nil
}

func planError(field string, value any) error {
	return fmt.Errorf("%w: %s %q", ErrPlan, field, clip(fmt.Sprint(value)))
}

// clip bounds what an error repeats of a hostile text.
func clip(text string) string {
	const textMax = 80
	if len(text) > textMax {
		return text[:textMax] + "…"
	}
	return text
}

func ascending(releases []multiversion.Release) bool {
	for i := 1; i < len(releases); i++ {
		if releases[i] <= releases[i-1] {
			return false
		}
	}
	return true
}

// isName says that a text is a cluster's name, or a word of the kind.
func isName(text string) bool {
	return len(text) <= nameMax && onlyOf(text, letters+"._-") && strings.Contains(letters, text[:1])
}

// isHostName says that a text is what ssh takes for a destination, and no program for an option.
func isHostName(text string) bool {
	host := text[strings.LastIndexByte(text, '@')+1:]
	return len(text) <= hostNameMax && onlyOf(text, letters+"._:%@-") && host != "" && host[0] != '-' && text[0] != '-' && text[0] != '@'
}

// isPath says that a text is an absolute path in its shortest form.
func isPath(text string) bool {
	return isLine(text, pathMax) && path.IsAbs(text) && path.Clean(text) == text && text != "/"
}

// isLine says that a text has at most so many bytes, and nothing that a terminal would take for a command.
func isLine(text string, sizeMax int) bool {
	return len(text) <= sizeMax && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}
