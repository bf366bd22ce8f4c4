package release

import "github.com/tbctl/tbctl/advisory"

// AdvisoriesFor returns what concerns a tag, for lists in which nothing but the tag is known. What a file is
// decides as soon as there is one: see [advisory.Of]. Nothing concerns Latest.
func AdvisoriesFor(tag Tag) []advisory.Advisory { return advisory.ForTag(string(tag)) }
