package advisory

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/multiversion"
)

const (
	// ListVersion is the version of a list's format.
	ListVersion = 1
	// ListSizeMax is the most bytes of a list.
	ListSizeMax = 256 << 10

	entriesMax = 1000
	exceptMax  = 1000
	idMax      = 64   // bytes
	lineMax    = 1000 // bytes of a text
	broughtMax = 200  // bytes that are shown of a text of a rollout's plan
)

// ErrList says that a text is not a list of advisories.
var ErrList = fault.New(fault.Rejected, "not a list of advisories")

// A List is what is known of releases. The nil one is the one that is built in.
type List struct {
	edition Edition
	list    list
	besides []entry // of the built-in list, where that is newer
	brought []entry // of a rollout's plan
	text    []byte  // as it was published; nil: it is built in
}

// What a list is, and where it comes from.
const (
	SourceBuiltIn = "built-in"
	SourceSigned  = "signed"
)

// An Edition says which list it is.
type Edition struct {
	Source  string `json:"source"`  // [SourceBuiltIn] or [SourceSigned]
	Checked string `json:"checked"` // the day on which it was last compared with upstream
	SHA256  string `json:"sha256"`
	// Repository is the URL of the one that has it, of a signed list.
	Repository string `json:"repository,omitempty"`
	// BuiltIn is the day of the built-in list where that is newer than the signed one: what it says holds besides.
	BuiltIn string `json:"built_in,omitempty"`
	// Rollout is who brought the list of a rollout's plan to this host, where there is one: what it says holds besides.
	Rollout string `json:"rollout,omitempty"`
}

// A list is what advisories.json has.
type list struct {
	Version    int                  `json:"version"`
	Checked    string               `json:"checked"`
	Newest     multiversion.Release `json:"newest"`
	Advisories []entry              `json:"advisories"`
}

//go:embed advisories.json
var embedded []byte

// builtIn is the embedded list. Its test holds that it can be read.
var builtIn = sync.OnceValue(func() *List {
	l, err := ParseList(embedded)
	if err != nil {
		panic("advisories.json: " + err.Error())
	}
	l.edition.Source, l.text = SourceBuiltIn, nil
	return l
})

// ParseList reads a list that a publisher has signed. Fields that it does not know are left out: within a version they are only added. The
// error is [ErrList].
func ParseList(text []byte) (*List, error) { return parse(text, false) }

// ParseNew reads a list that is to be published: a field that it does not know is an error too, since it may be misspelt.
func ParseNew(text []byte) (*List, error) { return parse(text, true) }

func parse(text []byte, strict bool) (*List, error) {
	if len(text) > ListSizeMax {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrList, ListSizeMax)
	}
	var version struct {
		Version int `json:"version"`
	}
	if err := fault.Unmarshal(text, &version); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrList, err)
	}
	if version.Version != ListVersion {
		return nil, fmt.Errorf("%w that this tbctl knows: it has version %d, and %d is known", ErrList, version.Version, ListVersion)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if strict {
		decoder.DisallowUnknownFields()
	}
	sum := sha256.Sum256(text)
	l := &List{edition: Edition{Source: SourceSigned, SHA256: hex.EncodeToString(sum[:])}, text: text}
	if err := decoder.Decode(&l.list); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrList, fault.JSON(err))
	}
	if err := l.list.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrList, err)
	}
	l.edition.Checked = l.list.Checked
	return l, nil
}

// BuiltIn is the list that is part of the program.
func BuiltIn() *List { return builtIn() }

// Signed is a list of a repository, which takes the place of the one that is built in. Where that is newer, as of the day on which each was
// compared with upstream, what either says holds: nothing is lost with a newer tbctl, nor what the publisher added.
func (l *List) Signed(repository string) *List {
	own, signed := BuiltIn(), *l
	signed.edition.Source, signed.edition.Repository = SourceSigned, repository
	if own.list.Checked > l.list.Checked {
		signed.edition.BuiltIn, signed.besides = own.list.Checked, own.list.Advisories
	}
	return &signed
}

// With is the list with what another one adds, which came with a rollout: it adds to what is known, with the name of who
// brought it, and takes nothing away. A nil one adds nothing. However long it is, one notice at most is of it, which says how many more there
// are: who may bring one is believed in nothing else, and what this machine's own list says is not to be lost among it.
func (l *List) With(other *List, from string) *List {
	if other == nil {
		return l
	}
	with := *l.orBuiltIn()
	with.edition.Rollout, with.brought = from, nil
	known := with.entries()
	for _, e := range other.list.Advisories {
		if slices.ContainsFunc(known, func(own entry) bool { return own.same(&e) }) {
			continue
		}
		e.Text, e.Source, e.Rerelease = "the advisories of the rollout's plan, brought by "+from+", say: "+brief(e.Text), brief(e.Source), brief(e.Rerelease)
		with.brought = append(with.brought, e)
	}
	return &with
}

// brief is the beginning of a text.
func brief(text string) string {
	if len(text) <= broughtMax {
		return text
	}
	return strings.ToValidUTF8(text[:broughtMax], "") + "…"
}

// inOne is what a rollout's list says as one notice: of a release to skip, if it says so, and how many more advisories there are.
func inOne(found []Notice) []Notice {
	if len(found) == 0 {
		return nil
	}
	ids := make(map[string]bool)
	for _, n := range found {
		ids[n.ID] = true
	}
	one := found[max(0, slices.IndexFunc(found, func(n Notice) bool { return n.Skip }))]
	if more := len(ids) - 1; more > 0 {
		also := fmt.Sprintf("; and %d more of its advisories", more)
		one.Text, one.Message = one.Text+also, one.Message+also
	}
	return []Notice{one}
}

// Text is the list as it was published; nil: it is built in.
func (l *List) Text() []byte { return l.orBuiltIn().text }

// Edition says which list it is.
func (l *List) Edition() Edition { return l.orBuiltIn().edition }

func (l *List) orBuiltIn() *List {
	if l == nil {
		return BuiltIn()
	}
	return l
}

// entries are all that hold: of two that say the same, one.
func (l *List) entries() []entry {
	all := l.list.Advisories[:len(l.list.Advisories):len(l.list.Advisories)]
	for _, e := range l.besides {
		if !l.has(&e) {
			all = append(all, e)
		}
	}
	return all
}

// has reports whether the list says what an entry says, of the same releases and files.
func (l *List) has(other *entry) bool {
	for _, e := range l.list.Advisories {
		if e.same(other) {
			return true
		}
	}
	return false
}

// isID reports whether an advisory may have a name: small letters, digits, and dots and dashes in between and after them.
func isID(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == "" && name[0] != '.' && name[0] != '-'
}

// check says what is wrong with a list: what it says must be readable, and each entry one that works.
func (l *list) check() error {
	switch {
	case !isDay(l.Checked):
		return fmt.Errorf("checked is %.20q, and not a day such as 2006-01-02", l.Checked)
	case l.Newest == 0:
		return fmt.Errorf("the newest release is missing")
	case len(l.Advisories) > entriesMax:
		return fmt.Errorf("more than %d advisories", entriesMax)
	}
	seen := make(map[string]bool)
	for i := range l.Advisories {
		e := &l.Advisories[i]
		if len(e.ID) > idMax || !isID(e.ID) {
			return fmt.Errorf("%.100q is not an id", e.ID)
		}
		if seen[e.ID] {
			return fmt.Errorf("two advisories %s", e.ID)
		}
		seen[e.ID] = true
		if err := e.check(l); err != nil {
			return fmt.Errorf("%s: %w", e.ID, err)
		}
	}
	return nil
}

func (e *entry) check(l *list) error {
	switch {
	case e.To == 0 || e.From > e.To:
		return fmt.Errorf("from %s to %s are no releases", e.From, e.To)
	case !isLine(e.Text) || !isLine(e.Source) || e.Rerelease != "" && !isLine(e.Rerelease):
		return fmt.Errorf("its texts are not each one line of at most %d bytes, without a full stop", lineMax)
	case e.Skip && (e.Leaving || e.To > l.Newest):
		return fmt.Errorf("what is to be skipped is about the file, and of releases that there were when the list was checked")
	case !e.OriginalOnly && (len(e.Except) > 0 || e.Rerelease != ""):
		return fmt.Errorf("it has exceptions, and does not concern the original alone")
	case len(e.Except) > exceptMax:
		return fmt.Errorf("more than %d exceptions", exceptMax)
	case !isDay(e.Date) || e.Date > l.Checked:
		return fmt.Errorf("%.20q is not a day, or one after the list was checked", e.Date)
	}
	for _, digits := range e.Except {
		if !sha.Is(digits) {
			return fmt.Errorf("%.100q is not a SHA-256", digits)
		}
	}
	return nil
}

func isDay(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

func isLine(text string) bool {
	return text != "" && len(text) <= lineMax && utf8.ValidString(text) && !strings.HasSuffix(text, ".") &&
		!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}
