package release

// An Advisory is something that upstream's changelog, or experience, says about releases before one
// installs or leaves them.
type Advisory struct {
	ID string `json:"id"`
	// From and To are the first and last release number concerned; From is empty for "and all before".
	From string `json:"from,omitempty"`
	To   string `json:"to"`
	// Skip says that the release should not be installed at all.
	Skip bool   `json:"skip"`
	Text string `json:"text"`

	originalOnly bool // a re-release of the same number is not concerned
}

// Advisories returns all advisories known to this version of the program.
func Advisories() []Advisory {
	return []Advisory{
		{ID: "skip-0.16.77", From: "0.16.77", To: "0.16.77", Skip: true, originalOnly: true,
			Text: "upstream says to skip 0.16.77"},
		{ID: "skip-0.17.5", From: "0.17.5", To: "0.17.7", Skip: true, originalOnly: true,
			Text: "upstream says to skip 0.17.5 to 0.17.7; re-releases with the suffix -1 carry the same number and other bytes"},
		{ID: "rerelease-0.17.5", From: "0.17.5", To: "0.17.7",
			Text: "0.17.5-1, 0.17.6-1 and 0.17.7-1 are patched re-releases: the release number does not tell which one a file is, only its SHA-256 does"},
		{ID: "misnumbered-0.16.5", From: "0.16.5", To: "0.16.7",
			Text: "the binaries of the tags 0.16.5 to 0.16.7 say that they are release 0.16.4"},
		{ID: "epoch-0.15.3", From: "0.15.3", To: "0.15.3",
			Text: "0.15.3 cannot read its own binary: leaving it takes a restart of the replica"},
		{ID: "swap-at-start", To: "0.16.29",
			Text: "before 0.16.30 a replica misses a binary that is swapped while it starts"},
		{ID: "second-swap", To: "0.16.28",
			Text: "before 0.16.29 a second swap in the middle of an upgrade can crash the replica"},
	}
}

// AdvisoriesFor returns what concerns a tag, or the release number that a binary states ("0.17.5").
// A release number alone cannot tell a re-release from the original, so the original's advisories
// are included. Nothing concerns Latest or a text that is no tag.
func AdvisoriesFor(tag Tag) []Advisory {
	_, rerelease, ok := splitTag(string(tag))
	if !ok {
		return nil
	}
	number := Tag(tag.Release())
	var found []Advisory
	for _, a := range Advisories() {
		if a.From != "" && number.Compare(Tag(a.From)) < 0 || number.Compare(Tag(a.To)) > 0 {
			continue
		}
		if a.originalOnly && rerelease > 0 {
			continue
		}
		found = append(found, a)
	}
	return found
}
