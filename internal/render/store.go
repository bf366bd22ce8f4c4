package render

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/serve"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/report"
)

// StoreImported shows what became of an import, and what to type next.
func StoreImported(out *term.Stream, imported *report.StoreImported, trust string, quiet bool) {
	item := &imported.Artifact
	what := fmt.Sprintf("release %s for %s", item.Release, item.Platform)
	styles := out.Styles()
	if imported.Already {
		out.Printf("%s sha256:%s is in the store already, %s\n", styles.Good.Render("ok:"), item.SHA256, what)
	} else {
		out.Printf("%s sha256:%s, %s\n", styles.Good.Render("stored:"), item.SHA256, what)
	}
	if quiet {
		return
	}
	fields := fetchedFields(&imported.Fetched, [2]string{"store", term.Printable(imported.Store)}, [2]string{"trust", trust}, size(item.Size))
	for _, command := range imported.Next {
		fields = append(fields, [2]string{"next", term.Printable(command)})
	}
	Fields(out, fields)
}

// storeIncoming says for what room is reserved, and by which process.
func storeIncoming(out *term.Stream, incoming []depot.Incoming) {
	for _, each := range incoming {
		out.Printf("process %d stores one of %s, for which room is reserved\n", each.PID, term.Bytes(each.Size))
	}
}

// StoreListed shows the artifacts of a store, and who vouched for each. Of signed metadata it says when it has expired by now.
func StoreListed(out *term.Stream, result *report.StoreListed, now time.Time) {
	defer storeSetAside(out, result.Store, result.SetAside)
	defer storeIncoming(out, result.Incoming)
	items := result.Artifacts
	if len(items) == 0 {
		out.Printf("the store %s has no artifacts\n", term.Printable(result.Store))
		return
	}
	columns := []term.Column{
		{Title: "release"}, {Title: "platform"}, {Title: "size", Right: true}, {Title: "stored", Drop: 2}, {Title: "vouched for by", Drop: 1}, {Title: "artifact"},
	}
	var rows [][]string
	var problems []term.Block
	for index := range items {
		item := &items[index]
		shown, platform := item.Release.String(), string(item.Platform)
		if item.Debug {
			platform += " (debug)"
		}
		if item.Problem != "" {
			shown, platform = "-", "-"
			problems = append(problems, out.Hang(sha.Name(item.SHA256)+": "+out.Styles().Bad.Render("not read:")+" "+term.Printable(item.Problem), 2))
		}
		vouched := receipts(item.Receipts, now)
		if item.Disbelieved != "" {
			vouched = "not believed"
			problems = append(problems, out.Hang(sha.Name(item.SHA256)+": "+out.Styles().Warn.Render("receipts not believed:")+" "+term.Printable(item.Disbelieved), 2))
		}
		rows = append(rows, []string{shown, platform, term.Bytes(item.Size), item.Stored.Local().Format("2006-01-02 15:04"), vouched, sha.Name(item.SHA256)})
	}
	out.Printf("%s", out.Table(columns, rows))
	for _, problem := range problems {
		out.Println(problem)
	}
}

// receipts names the kinds of what vouched, each once, by its newest receipt.
func receipts(list []depot.Receipt, now time.Time) string {
	var kinds []string
	seen := make(map[string]bool)
	stated := ""
	for _, receipt := range slices.Backward(list) {
		if receipt.Kind == depot.KindPlan && stated == "" && receipt.Said != "" {
			stated = "the plan says " + term.Printable(receipt.Said)
		}
		if receipt.Vouches() && !seen[receipt.Kind] {
			seen[receipt.Kind] = true
			kinds = append(kinds, term.Printable(receipt.Kind)+expired(receipt.Signed, now))
		}
	}
	slices.Reverse(kinds)
	if stated != "" {
		kinds = append(kinds, stated)
	}
	if len(kinds) == 0 {
		return "nobody"
	}
	return strings.Join(kinds, ", ")
}

// expired says which of the metadata expired first, if any has by now.
func expired(signed *depot.Signed, now time.Time) string {
	if signed == nil {
		return ""
	}
	first := signed.Expires()
	if first.Role == "" || now.Before(first.Expires) {
		return ""
	}
	return fmt.Sprintf(" (its %s expired %s)", term.Printable(first.Role), first.Expires.UTC().Format(time.DateOnly))
}

// StoreServed shows what a server did.
func StoreServed(out *term.Stream, counters serve.Counters) {
	refused := counters.Malformed + counters.NotFound + counters.Ambiguous + counters.WrongMethod + counters.Unauthorized + counters.WrongRange + counters.Busy + counters.Failed
	out.Printf("served: %s, %s whole, %s, %s; %s sent, %d refused, %d cut, %d changed\n", counted(int(counters.Requests), "request"),
		counted(int(counters.Artifacts), "artifact"), counted(int(counters.Parts), "part"), counted(int(counters.Deltas), "delta"), term.Bytes(counters.Bytes), refused, counters.Cut, counters.Changed)
}

func counted(number int, what string) string {
	if number == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", number, what)
}

// StoreVerified shows what became of each artifact that was read.
func StoreVerified(out *term.Stream, result *report.StoreVerified) {
	defer storeSetAside(out, result.Store, result.SetAside)
	dir, list := term.Printable(result.Store), result.Artifacts
	if len(list) == 0 {
		out.Printf("the store %s has no artifacts: nothing was checked\n", dir)
		return
	}
	styles := out.Styles()
	whole := 0
	for index := range list {
		checked := &list[index]
		if checked.Verdict == shelf.VerdictWhole {
			whole++
			out.Printf("%s sha256:%s, %s\n", styles.Good.Render("whole:"), checked.SHA256, term.Bytes(checked.Size))
			continue
		}
		out.Println(out.Hang(styles.Bad.Render(string(checked.Verdict)+":")+" sha256:"+checked.SHA256+": "+term.Printable(checked.Problem), 2))
	}
	out.Printf("%s of %s in %s: the bytes are those of the name, and a whole binary\n", fmt.Sprint(whole), counted(len(list), "artifact"), dir)
}

// storeSetAside shows what is kept of artifacts whose bytes had changed.
func storeSetAside(out *term.Stream, dir string, list []depot.Damaged) {
	for _, damaged := range list {
		path := filepath.Join(dir, "sha256", damaged.Name)
		out.Println(out.Hang(fmt.Sprintf("%s %s, %s: its bytes had changed; nothing uses it", out.Styles().Warn.Render("set aside:"), term.Printable(path), term.Bytes(damaged.Size)), 2))
	}
}

// StorePruned shows what became of each artifact, and why.
func StorePruned(out *term.Stream, result *report.StorePruned, quiet bool) {
	styles := out.Styles()
	for index := range result.Artifacts {
		decision := &result.Artifacts[index]
		what := sha.Name(decision.SHA256)
		if decision.Release != 0 {
			what = fmt.Sprintf("%s for %s, %s", decision.Release, decision.Platform, what)
		}
		switch {
		case decision.Keep && quiet:
		case decision.Keep:
			var why []string
			for _, reason := range decision.Why {
				why = append(why, term.Printable(reason.Text))
			}
			out.Println(out.Hang(styles.Good.Render("stays:")+" "+what+": "+strings.Join(why, "; "), 2))
		case decision.Removed || result.DryRun:
			why := "nothing here needs it"
			if decision.Problem != "" {
				why = "it is no multiversion binary, nobody is known to have imported it, and nothing here names it"
			}
			out.Println(out.Hang(fmt.Sprintf("%s %s, %s: %s", styles.Warn.Render("goes:"), what, term.Bytes(decision.Size), why), 2))
		default:
			out.Printf("%s %s: it was not removed\n", styles.Bad.Render("still there:"), what)
		}
	}
	if !quiet {
		for _, note := range result.Notes {
			out.Println(out.Hang("note: "+term.Printable(note), 2))
		}
	}
	verb := "removed from"
	if result.DryRun {
		verb = "would be removed from"
	}
	out.Printf("%s, %s: %s %s\n", counted(result.Removed, "artifact"), term.Bytes(result.Freed), verb, term.Printable(result.Store))
}
