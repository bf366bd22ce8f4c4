package render

import (
	"fmt"
	"strings"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/serve"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/internal/term"
)

// StoreImported shows what became of an import, and what to type next.
func StoreImported(out *term.Stream, imported *shelf.Imports, dir, trust string, next []string, quiet bool) {
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
	fields := [][2]string{{"store", term.Printable(dir)}, {"trust", trust}, {"size", fmt.Sprintf("%s (%d bytes)", term.Bytes(item.Size), item.Size)}}
	for _, command := range next {
		fields = append(fields, [2]string{"next", term.Printable(command)})
	}
	Fields(out, fields)
}

// StoreListed shows the artifacts of a store, and who vouched for each.
func StoreListed(out *term.Stream, dir string, items []shelf.Item) {
	if len(items) == 0 {
		out.Printf("the store %s has no artifacts\n", term.Printable(dir))
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
			problems = append(problems, out.Hang("sha256:"+item.SHA256+": "+out.Styles().Bad.Render("not read:")+" "+term.Printable(item.Problem), 2))
		}
		rows = append(rows, []string{shown, platform, term.Bytes(item.Size), item.Stored.Local().Format("2006-01-02 15:04"), receipts(item.Receipts), "sha256:" + item.SHA256})
	}
	out.Printf("%s", out.Table(columns, rows))
	for _, problem := range problems {
		out.Println(problem)
	}
}

// receipts names the kinds of what vouched, each once.
func receipts(list []depot.Receipt) string {
	var kinds []string
	seen := map[string]bool{depot.KindImport: true}
	for _, receipt := range list {
		if !seen[receipt.Kind] {
			seen[receipt.Kind] = true
			kinds = append(kinds, term.Printable(receipt.Kind))
		}
	}
	if len(kinds) == 0 {
		return "nobody"
	}
	return strings.Join(kinds, ", ")
}

// StoreServed shows what a server did.
func StoreServed(out *term.Stream, counters serve.Counters) {
	refused := counters.NotFound + counters.Ambiguous + counters.WrongMethod + counters.Unauthorized + counters.WrongRange + counters.Busy + counters.Failed
	out.Printf("served: %s, %s whole, %s; %s sent, %d refused, %d cut, %d changed\n", counted(int(counters.Requests), "request"),
		counted(int(counters.Artifacts), "artifact"), counted(int(counters.Parts), "part"), term.Bytes(counters.Bytes), refused, counters.Cut, counters.Changed)
}

func counted(number int, what string) string {
	if number == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", number, what)
}
