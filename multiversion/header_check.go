package multiversion

import (
	"encoding/binary"
	"fmt"
)

// headerCheck collects the rules that a header breaks.
type headerCheck struct {
	raw      *[HeaderSize]byte
	at       int64
	failures []*FormatError
}

func (c *headerCheck) fail(rule Rule, offset int, want, found string, args ...any) {
	c.failures = append(c.failures, broken(rule, c.at+int64(offset), want, found, args...))
}

func (c *headerCheck) uint32(offset int) uint32 {
	return binary.LittleEndian.Uint32(c.raw[offset:])
}

// zeros requires that a stretch is zero and names the first byte that is not.
func (c *headerCheck) zeros(rule Rule, offset, size int, name string) {
	for index, value := range c.raw[offset : offset+size] {
		if value != 0 {
			c.fail(rule, offset+index, "0", "%s holds %#02x", name, value)
			return
		}
	}
}

// CheckHeader returns every rule that a header which stands at offset at of its
// file breaks, the checksum first; nil for a good one. A schema other than 1
// ends the check there: nothing behind it has a known meaning.
func CheckHeader(raw *[HeaderSize]byte, at int64) []*FormatError {
	check := headerCheck{raw: raw, at: at}
	stored := Checksum(raw[offsetChecksumHeader:][:16])
	if sum := ChecksumOf(raw[OffsetChecksumBinary:]); sum != stored {
		check.fail(RuleHeaderChecksum, offsetChecksumHeader, stored.String(), "checksum of the header is %s", sum)
	}
	if schema := check.uint32(offsetSchemaVersion); schema != SchemaVersion {
		check.fail(RuleSchema, offsetSchemaVersion, "1, the only one known: a newer tbctl may read this file", "schema version %d", schema)
		return check.failures
	}
	if releases := check.uint32(offsetReleasesMax); releases != ReleasesMax {
		check.fail(RuleReleasesMax, offsetReleasesMax, "64", "maximum of %d releases", releases)
	}
	check.current()
	check.past()
	return check.failures
}

func (c *headerCheck) current() {
	release := Release(c.uint32(offsetCurrentRelease))
	flags := c.raw[offsetCurrentFlags]
	if release == 0 {
		c.fail(RuleCurrentRelease, offsetCurrentRelease, "a release other than 0", "current release 0")
	}
	if flags&flagsUnknown != 0 {
		c.fail(RuleCurrentFlags, offsetCurrentFlags, "bits 2 to 7 zero", "current flags %#08b", flags)
	}
	if flags&flagVisit == 0 {
		c.fail(RuleCurrentVisit, offsetCurrentFlags, "the visit bit set", "current flags %#08b", flags)
	}
	c.zeros(RuleCurrentPadding, offsetCurrentPadding, 3, "padding behind the current flags")
	c.zeros(RulePastPadding, offsetPastPadding, 16, "padding behind the past releases")

	clientMin := c.uint32(offsetCurrentClientMin)
	if release <= ReleaseFirst {
		c.zeros(RuleCurrentCommitEarly, offsetCurrentCommit, 20, "current commit of a release up to 0.15.4")
		if clientMin != 0 {
			c.fail(RuleCurrentClientMinEarly, offsetCurrentClientMin, "0 in a release up to 0.15.4", "current client minimum %s", Release(clientMin))
		}
		return
	}
	if Commit(c.raw[offsetCurrentCommit:][:20]) == (Commit{}) {
		c.fail(RuleCurrentCommit, offsetCurrentCommit, "a commit", "current commit of zeros")
	}
	if clientMin == 0 {
		c.fail(RuleCurrentClientMin, offsetCurrentClientMin, "a release other than 0", "current client minimum 0")
	}
}

func (c *headerCheck) past() {
	count := c.uint32(offsetPastCount)
	if count < 1 || count > PastMax {
		c.fail(RulePastCount, offsetPastCount, "1 to 63", "%d past releases", count)
		return
	}
	var before *Past
	var sum uint64
	for index := range int(count) {
		past := decodePast(c.raw, index)
		c.pastEntry(index, past, before, sum)
		sum += uint64(past.Size)
		before = &past
	}
	c.unused(int(count))
	if current := Release(c.uint32(offsetCurrentRelease)); before.Release >= current {
		c.fail(RulePastNewest, offsetPastReleases+4*int(count-1), fmt.Sprintf("a release older than the current %s", current),
			"newest past release %s", before.Release)
	}
}

// pastEntry checks one past release against the one before it, nil for the
// first; sum is of the sizes before it. Offsets of equal sums that need more
// than 32 bits cannot be written down, so they break the rule of the sum.
func (c *headerCheck) pastEntry(index int, past Past, before *Past, sum uint64) {
	if past.Release == 0 {
		c.fail(RulePastRelease, offsetPastReleases+4*index, "a release other than 0", "past release %d is 0", index)
	}
	if past.Size == 0 {
		c.fail(RulePastSize, offsetPastSizes+4*index, "a size other than 0", "past release %d (%s) has size 0", index, past.Release)
	}
	switch {
	case index == 0 && past.Offset != 0:
		c.fail(RulePastOffset, offsetPastOffsets, "0", "the first past release has offset %d", past.Offset)
	case uint64(past.Offset) != sum && index > 0:
		c.fail(RulePastSum, offsetPastOffsets+4*index, fmt.Sprintf("%d, the sum of the sizes before it", sum),
			"past release %d (%s) has offset %d", index, past.Release, past.Offset)
	}
	if flags := c.raw[offsetPastFlags+index]; flags&flagsUnknown != 0 {
		c.fail(RulePastFlags, offsetPastFlags+index, "bits 2 to 7 zero", "flags of past release %d (%s) are %#08b", index, past.Release, flags)
	}
	if past.Commit == (Commit{}) {
		c.fail(RulePastCommit, offsetPastCommits+20*index, "a commit", "commit of past release %d (%s) is zeros", index, past.Release)
	}
	if past.ClientMin == 0 {
		c.fail(RulePastClientMin, offsetPastClientMins+4*index, "a release other than 0", "client minimum of past release %d (%s) is 0", index, past.Release)
	}
	if before == nil {
		return
	}
	switch {
	case past.Release == before.Release:
		c.fail(RulePastReleaseTwice, offsetPastReleases+4*index, "each release once: upstream's reader crashes on this", "past release %s twice", past.Release)
	case past.Release < before.Release:
		c.fail(RulePastReleaseOrder, offsetPastReleases+4*index, fmt.Sprintf("one newer than %s", before.Release), "past release %d is %s", index, past.Release)
	}
	if past.ClientMin < before.ClientMin {
		c.fail(RulePastClientMinOrder, offsetPastClientMins+4*index, fmt.Sprintf("%s or newer", before.ClientMin),
			"client minimum of past release %d (%s) is %s", index, past.Release, past.ClientMin)
	}
}

// unused requires zeros behind the counted entries of every array.
func (c *headerCheck) unused(count int) {
	arrays := []struct {
		offset, size int
		name         string
	}{
		{offsetPastReleases, 4, "past.releases"},
		{offsetPastChecksums, 16, "past.checksums"},
		{offsetPastOffsets, 4, "past.offsets"},
		{offsetPastSizes, 4, "past.sizes"},
		{offsetPastFlags, 1, "past.flags"},
		{offsetPastCommits, 20, "past.git_commits"},
		{offsetPastClientMins, 4, "past.release_client_mins"},
	}
	for _, array := range arrays {
		c.zeros(RulePastUnused, array.offset+array.size*count, array.size*(PastMax-count), "unused entry of "+array.name)
	}
	c.zeros(RulePastFlagsPadding, offsetPastFlagsPadding, 1, "padding behind past.flags")
}
