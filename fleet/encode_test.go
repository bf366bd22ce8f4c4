package fleet

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/multiversion"
)

// TestParsePlanHostile breaks one thing of a plan, and holds that it is refused with the word for it.
func TestParsePlanHostile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/plan.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(p *Plan)
		want   string
	}{
		"version":               {func(p *Plan) { p.Version = 2 }, "of a version"},
		"no version":            {func(p *Plan) { p.Version = 0 }, "version"},
		"author":                {func(p *Plan) { p.Author = "\x1b[2J" }, "author"},
		"author of no name":     {func(p *Plan) { p.Author = "" }, "author"},
		"generation":            {func(p *Plan) { p.Generation = 0 }, "generation"},
		"generation too high":   {func(p *Plan) { p.Generation = GenerationMax + 1 }, "generation"},
		"advisories":            {func(p *Plan) { p.Despite = make([]string, despiteMax+1) }, "advisories"},
		"advisory":              {func(p *Plan) { p.Despite = []string{"a b"} }, "advisory"},
		"clusters":              {func(p *Plan) { p.Clusters = slices.Repeat(p.Clusters[:1], clustersMax+1) }, "number of clusters"},
		"sha256":                {func(p *Plan) { p.Artifact.SHA256 = "sha256:" }, "sha256"},
		"size":                  {func(p *Plan) { p.Artifact.Size = artifactMax + 1 }, "size"},
		"deflated":              {func(p *Plan) { p.Artifact.Deflated = -1 }, "deflated"},
		"platform":              {func(p *Plan) { p.Artifact.Platform = multiversion.PlatformUniversalMacOS }, "platform"},
		"releases":              {func(p *Plan) { p.Artifact.Releases = nil }, "number of releases"},
		"releases unordered":    {func(p *Plan) { p.Artifact.Releases[0] = p.Artifact.Release }, "releases"},
		"too many releases":     {func(p *Plan) { p.Artifact.Releases = slices.Repeat(p.Artifact.Releases[:1], releasesMax+1) }, "number of releases"},
		"release":               {func(p *Plan) { p.Artifact.Release = release("0.17.4") }, "release"},
		"checksum":              {func(p *Plan) { p.Artifact.Checksum = multiversion.Checksum{} }, "checksum"},
		"visit":                 {func(p *Plan) { p.Artifact.Visits = releases("0.17.7") }, "visit"},
		"visits unordered":      {func(p *Plan) { p.Artifact.Visits = releases("0.17.4", "0.17.4") }, "visits"},
		"client minimum":        {func(p *Plan) { p.Artifact.ClientMins[release("0.17.7")] = 1 }, "client minimum"},
		"source":                {func(p *Plan) { p.Artifact.Source = "a\nb" }, "source"},
		"vouched":               {func(p *Plan) { p.Artifact.Vouched = []string{""} }, "voucher"},
		"name":                  {func(p *Plan) { p.Clusters[0].Name = "" }, "name"},
		"name twice":            {func(p *Plan) { p.Clusters[0].Name = p.Clusters[1].Name }, "two clusters"},
		"id":                    {func(p *Plan) { p.Clusters[0].ID = strings.Repeat("0", 65) }, "id"},
		"id twice":              {func(p *Plan) { p.Clusters[0].ID = p.Clusters[1].ID }, "two clusters"},
		"wave":                  {func(p *Plan) { p.Clusters[0].Wave = 0 }, "wave"},
		"waves":                 {func(p *Plan) { p.Clusters[0].Wave = 9 }, "wave"},
		"soak":                  {func(p *Plan) { p.Clusters[0].Soak = -time.Second }, "soak"},
		"replicas":              {func(p *Plan) { p.Clusters[0].Replicas = 7 }, "replicas"},
		"fewer replicas":        {func(p *Plan) { p.Clusters[0].Replicas = 1 }, "replica"},
		"more replicas":         {func(p *Plan) { p.Clusters[0].Replicas = 3 }, "replica"},
		"standbys":              {func(p *Plan) { p.Clusters[0].Standbys = 0 }, "standbys"},
		"running":               {func(p *Plan) { p.Clusters[0].Running = release("0.17.8") }, "running"},
		"hops":                  {func(p *Plan) { p.Clusters[1].Hops = releases("0.17.8") }, "hops"},
		"holdback of none":      {func(p *Plan) { p.Clusters[1].Holdback = 0 }, "holdback"},
		"holdback":              {func(p *Plan) { p.Clusters[1].Holdback = 2 }, "holdback"},
		"no hosts":              {func(p *Plan) { p.Clusters[1].Hosts = nil }, "hosts"},
		"hosts":                 {func(p *Plan) { p.Clusters[1].Hosts = make([]PlannedHost, hostsMax+1) }, "hosts"},
		"a missing host":        {func(p *Plan) { p.Clusters[1].Hosts = p.Clusters[1].Hosts[:2] }, "no host for replica"},
		"host":                  {func(p *Plan) { p.Clusters[1].Hosts[0].Name = "-oProxyCommand=x" }, "name"},
		"host after its user":   {func(p *Plan) { p.Clusters[1].Hosts[0].Name = "a@-x" }, "name"},
		"host of no name":       {func(p *Plan) { p.Clusters[1].Hosts[0].Name = "" }, "name"},
		"target":                {func(p *Plan) { p.Clusters[1].Hosts[0].Target = "/opt/../etc/passwd" }, "target"},
		"target not absolute":   {func(p *Plan) { p.Clusters[1].Hosts[0].Target = "tigerbeetle" }, "target"},
		"place twice":           {func(p *Plan) { p.Clusters[1].Hosts[0].Name = p.Clusters[1].Hosts[1].Name }, "two places"},
		"depot":                 {func(p *Plan) { p.Clusters[1].Hosts[0].Depot = "10.1.0.3" }, "depot"},
		"machine":               {func(p *Plan) { p.Clusters[1].Hosts[0].Machine = "a b" }, "machine"},
		"previous":              {func(p *Plan) { p.Clusters[1].Hosts[0].Previous = "" }, "previous"},
		"previous the artifact": {func(p *Plan) { p.Clusters[1].Hosts[0].Previous = p.Artifact.SHA256 }, "previous"},
		"lacks":                 {func(p *Plan) { p.Clusters[1].Hosts[0].Lacks = -1 }, "lacks"},
		"no replicas of a host": {func(p *Plan) { p.Clusters[1].Hosts[0].Replicas = nil }, "number of replicas"},
		"replica twice":         {func(p *Plan) { p.Clusters[1].Hosts[0].Replicas[0].Index = 1 }, "replica"},
		"replica's index":       {func(p *Plan) { p.Clusters[1].Hosts[0].Replicas[0].Index = -1 }, "replica"},
		"a standby that votes":  {func(p *Plan) { p.Clusters[1].Hosts[0].Replicas[0].Standby = true }, "replica"},
		"advisories' list":      {func(p *Plan) { p.Advisories = advised(t); p.Advisories.List = []byte("{}") }, "advisories"},
		"advisories' SHA-256":   {func(p *Plan) { p.Advisories = advised(t); p.Advisories.SHA256 = strings.Repeat("0", 64) }, "SHA-256 of the advisories"},
		"advisories' day":       {func(p *Plan) { p.Advisories = advised(t); p.Advisories.Checked = "2020-01-01" }, "day of the advisories"},
		"advisories' place":     {func(p *Plan) { p.Advisories = advised(t); p.Advisories.Repository = "a\nb" }, "repository of the advisories"},
	} {
		p, _, err := ParsePlan(text)
		if err != nil {
			t.Fatal(err)
		}
		test.change(p)
		broken, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := ParsePlan(broken); !errors.Is(err, ErrPlan) || !strings.Contains(err.Error(), test.want) || fault.Of(err) != fault.Usage {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	for name, broken := range map[string]string{
		"nothing":             "",
		"no object":           "[]",
		"a field not known":   strings.Replace(string(text), `"despite"`, `"canary": true, "despite"`, 1),
		"something after it":  string(text) + "{}",
		"too large":           string(text) + strings.Repeat(" ", PlanSizeMax),
		"too many values":     `{"version":1,"clusters":[` + strings.Repeat("null,", planValuesMax) + "null]}",
		"a release of zero":   strings.Replace(string(text), `"release": "0.17.8"`, `"release": "0.0.0"`, 1),
		"numbers as text":     strings.Replace(string(text), `"generation": 7`, `"generation": "7"`, 1),
		"less than no number": strings.Replace(string(text), `"generation": 7`, `"generation": -7`, 1),
	} {
		if _, _, err := ParsePlan([]byte(broken)); !errors.Is(err, ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParsePlan holds that what is taken for a plan is one, and is the same when it is written and read again.
func FuzzParsePlan(f *testing.F) {
	text, err := os.ReadFile("testdata/plan.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`{"version":2,"later":true}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, id, err := ParsePlan(text)
		if err != nil {
			if p != nil || id != "" || !errors.Is(err, ErrPlan) {
				t.Fatalf("%v with a plan", err)
			}
			return
		}
		written, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := ParsePlan(written)
		if err != nil {
			t.Fatalf("written and read again: %v\n%s", err, written)
		}
		if back, _ := again.Encode(); string(back) != string(written) {
			t.Fatalf("%s\nand then\n%s", written, back)
		}
	})
}

// advised is a publisher's list, as a plan has it.
func advised(t *testing.T) *PlannedAdvisories {
	t.Helper()
	list, err := advisory.ParseList([]byte(`{"version":1,"checked":"2026-01-02","newest":"9.9.9","advisories":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	return plannedAdvisories(list.Signed("https://releases.internal/tb"))
}

// TestPlannedAdvisories holds that a plan has the list that a publisher has signed, as it was published, and not the one that is built in.
func TestPlannedAdvisories(t *testing.T) {
	t.Parallel()
	text := []byte(`{"version":1,"checked":"2026-01-02","newest":"9.9.9", "advisories":[]}`)
	list, err := advisory.ParseList(text)
	if err != nil {
		t.Fatal(err)
	}
	inventory, observations := testFleet("a", 3, "0.17.2")
	options := testOptions()
	options.Advisories = list.Signed("https://releases.internal/tb")
	plan, problems := Draft(inventory, observations, testArtifact(), options)
	if plan == nil {
		t.Fatal(problems)
	}
	encoded, err := plan.Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, _, err := ParsePlan(encoded)
	if err != nil || read.Advisories == nil || string(read.Advisories.List) != string(text) || read.Advisories.Repository != "https://releases.internal/tb" {
		t.Errorf("%v, %+v", err, read)
	}
	options.Advisories = nil
	if plan, problems = Draft(inventory, observations, testArtifact(), options); plan == nil || plan.Advisories != nil {
		t.Errorf("%+v, %v", plan, problems)
	}
}
