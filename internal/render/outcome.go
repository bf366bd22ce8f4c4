package render

import (
	"fmt"
	"os/user"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/verify"
)

// Plan shows what a run would do, and what stands against it.
func Plan(out *term.Stream, outcome *install.Outcome, err error, details bool) {
	plan := outcome.Plan
	out.Println(out.Hang(out.Styles().Bold.Render("plan:")+" "+planSentence(plan), 2))
	if details {
		planDetails(out, plan)
	}
	if err == nil {
		out.Printf("%s nothing stands against it; nothing was changed\n", out.Styles().Good.Render("ok:"))
	}
	if details {
		Next(out, outcome.Next)
	}
}

// Next shows the commands that go on, each in a line of its own: what is pasted is not to be broken.
func Next(out *term.Stream, commands []string) {
	for _, command := range commands {
		out.Printf("%s %s\n", out.Styles().Accent.Render("next:"), term.Printable(command))
	}
}

func planDetails(out *term.Stream, plan *install.Plan) {
	out.Println()
	Fields(out, planFields(plan))
	if plan.Verified != nil {
		out.Printf("\nThe new file:\n\n")
		findingsShort(out, plan.Verified.Findings)
	}
	if plan.Fit != nil {
		out.Printf("\nIn the place of the installed one:\n\n")
		findingsShort(out, fitFindings(plan))
	}
	out.Println()
}

// fitFindings are what was found in the comparison, less what is said of the new file alone.
func fitFindings(plan *install.Plan) []verify.Finding {
	if plan.Verified == nil {
		return plan.Fit.Findings
	}
	return slices.DeleteFunc(slices.Clone(plan.Fit.Findings), func(finding verify.Finding) bool {
		return finding.Status == verify.Held && slices.ContainsFunc(plan.Verified.Findings, func(other verify.Finding) bool { return other.Name == finding.Name })
	})
}

// findingsShort prints what held as one list of names, and all else as
// [showFindings] does.
func findingsShort(out *term.Stream, findings []verify.Finding) {
	var held []string
	var other []verify.Finding
	for _, finding := range findings {
		switch {
		case finding.Status != verify.Held:
			other = append(other, finding)
		case !slices.Contains(held, string(finding.Name)):
			held = append(held, string(finding.Name))
		}
	}
	if len(held) > 0 {
		out.Printf("%s %s\n", statusText(out, verify.Held), term.Block(strings.TrimLeft(string(out.Wrap(strings.Join(held, ", "), 12)), " ")))
	}
	showFindings(out, other)
}

func planSentence(plan *install.Plan) string {
	switch plan.Action {
	case install.ActionNone:
		return fmt.Sprintf("%s is installed at %s already: nothing to do", fileName(plan.New), plan.Target.Path)
	case install.ActionCreate:
		return fmt.Sprintf("install %s at %s, where nothing is", fileName(plan.New), plan.Target.Path)
	case install.ActionSwapBack:
		return fmt.Sprintf("put %s back at %s, and keep %s as %s", fileName(plan.New), plan.Target.Path, fileName(plan.Installed), plan.Target.OldPath)
	}
	return fmt.Sprintf("replace %s at %s with %s", fileName(plan.Installed), plan.Target.Path, fileName(plan.New))
}

// fileName names a binary by its release, or by what else it is.
func fileName(file *install.File) string {
	switch {
	case file == nil:
		return "nothing"
	case file.Release == 0 && file.Kind != "":
		return file.Kind
	case file.Debug:
		return file.Release.String() + " (debug)"
	}
	return file.Release.String()
}

func planFields(plan *install.Plan) [][2]string {
	fields := [][2]string{}
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, [2]string{name, value})
		}
	}
	if plan.Operation == install.OperationInstall {
		add("from", sourceText(plan.Origin.Source))
		add("trust", Trust(plan.Origin))
		add("fetched", Fetched(plan.Origin.Fetched, plan.Origin.Held))
	}
	if plan.New != nil {
		add("sha256", plan.New.SHA256)
		add("size", fmt.Sprintf("%s (%d bytes)", term.Bytes(plan.New.Size), plan.New.Size))
	}
	if len(plan.Target.Links) > 0 {
		add("link", fmt.Sprintf("%s is a symbolic link: the file %s is replaced where it lives", plan.Target.Name, plan.Target.Path))
	}
	if plan.Action == install.ActionCreate || plan.Action == install.ActionReplace {
		add("attributes", attributesText(plan.Attributes))
	}
	switch {
	case plan.Action != install.ActionReplace:
	case plan.DropOld:
		add("old kept", "no (--no-old)")
	default:
		add("old kept", plan.Target.OldPath)
	}
	if plan.Fit != nil {
		add("upgrade", pathsText(plan.Fit.Paths))
	}
	for _, leftover := range plan.Leftovers {
		add("leftover", fmt.Sprintf("%s: %s (%s)", leftover.Path, leftover.Action, leftover.Reason))
	}
	return fields
}

// Fetched says how much of a file came over the network, where this host had the rest of it; otherwise nothing.
func Fetched(fetched, held int64) string {
	if held == 0 {
		return ""
	}
	return fmt.Sprintf("%s over the network; %s of it was on this host", term.Bytes(fetched), term.Bytes(held))
}

// sourceText names where a file came from.
func sourceText(source string) string {
	if source == "-" {
		return "standard input"
	}
	return term.Printable(source)
}

// Trust says what vouched for a file.
func Trust(origin install.Origin) string {
	var held []string
	for _, trust := range origin.Trust {
		if trust.Status != string(release.StatusHeld) {
			continue
		}
		of := ""
		switch {
		case origin.Entry == "": // the file is the executable
		case trust.Of == "asset":
			of = " of the archive"
		case trust.Of == "executable":
			of = " of the executable in it"
		}
		held = append(held, EvidenceName(release.EvidenceKind(trust.Kind))+of)
	}
	if len(held) == 0 {
		return Untrusted
	}
	return strings.Join(held, ", ") + ": held"
}

func pathsText(paths []verify.Path) string {
	var texts []string
	for _, path := range paths {
		if len(path.Hops) == 0 {
			continue
		}
		text := path.String()
		if stops := path.Stops(); stops != "" {
			text += ": " + stops
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

// attributesText lists what a file has besides its bytes.
func attributesText(attributes fsatomic.Attributes) string {
	parts := []string{attributes.Mode.String()}
	if attributes.UID != fsatomic.OwnerUnchanged || attributes.GID != fsatomic.OwnerUnchanged {
		parts = append(parts, Owner(attributes.UID, attributes.GID))
	}
	var names []string
	for name := range attributes.Xattrs {
		names = append(names, attributeName(name))
	}
	sort.Strings(names)
	return strings.Join(append(parts, names...), ", ")
}

func attributeName(name string) string {
	switch name {
	case fsatomic.XattrACL:
		return "ACL"
	case fsatomic.XattrCapability:
		return "capabilities"
	case fsatomic.XattrSELinux:
		return "SELinux label"
	}
	return name
}

// Owner is a user and a group by their names.
func Owner(uid, gid int) string {
	name, group := strconv.Itoa(uid), strconv.Itoa(gid)
	if found, err := user.LookupId(name); err == nil {
		name = found.Username
	}
	if found, err := user.LookupGroupId(group); err == nil {
		group = found.Name
	}
	return name + ":" + group
}

// Outcome shows what was done, in one line or with the details.
func Outcome(out *term.Stream, outcome *install.Outcome, details bool) {
	plan := outcome.Plan
	good := out.Styles().Good
	switch outcome.Result {
	case install.ResultAlready:
		if plan.Operation == install.OperationRollback {
			which := "the last rollback"
			if len(outcome.Recovered) > 0 {
				which = "the rollback that was interrupted"
			}
			out.Println(out.Hang(fmt.Sprintf("%s %s had already put %s at %s; nothing was touched", good.Render("ok:"), which, fileName(plan.New), plan.Target.Path), 2))
			return
		}
		out.Println(out.Hang(fmt.Sprintf("%s %s is installed at %s already; nothing was touched", good.Render("ok:"), fileName(plan.New), plan.Target.Path), 2))
		return
	case install.ResultRolledBack:
		out.Println(out.Hang(fmt.Sprintf("%s %s is back at %s, and %s is kept as %s", good.Render("rolled back:"),
			fileName(plan.New), plan.Target.Path, fileName(plan.Installed), plan.Target.OldPath), 2))
	default:
		was := ""
		if plan.Installed != nil {
			was = ", which was " + fileName(plan.Installed)
		}
		out.Println(out.Hang(fmt.Sprintf("%s %s at %s%s", good.Render("installed:"), fileName(plan.New), plan.Target.Path, was), 2))
	}
	if details {
		Fields(out, append(planFields(plan), [2]string{"read back", "the same bytes, durably"}))
		Next(out, outcome.Next)
	}
}

// Untrusted is said of a file that nothing outside of it vouches for.
const Untrusted = "no digest or signature vouches for it: checksums in the file find damage, not forgery"

// EvidenceName is what vouches for a file.
func EvidenceName(kind release.EvidenceKind) string {
	switch kind {
	case release.EvidenceSHA256:
		return "--sha256"
	case release.EvidenceSums:
		return "SHA256SUMS"
	case release.EvidenceSidecar:
		return "the .sha256 file"
	case release.EvidenceGitHubDigest:
		return "GitHub's digest"
	case release.EvidenceMinisign:
		return "the minisign signature"
	case release.EvidenceManifest:
		return "the registry's manifest"
	case release.EvidenceTUF:
		return "the signed metadata (TUF)"
	}
	return ""
}
