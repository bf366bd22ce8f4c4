// Package advisory knows what upstream, or experience, says of releases: which ones are to be skipped, and what
// happens when one is left.
//
// All of it is data, in advisories.json, each entry with its source and the day on which that was read. The next
// one is an entry more. "checked" there is the day on which the list was last compared with upstream, and "newest"
// the newest release that there was then: nothing is known here of what is newer.
//
//	version        of the form, 1
//	id             a name that stays
//	from, to       the first and the last release number concerned; without from all before are
//	skip           the release should not be installed
//	leaving        it is about a replica that runs the release and shall leave it, not about the file
//	text           for an operator, after the release's number
//	original_only  re-releases of the same number (0.17.5-1) are not concerned
//	except_sha256  the files, archives or executables, that carry the number and are not concerned
//	rerelease      said after the text of a file that may be a re-release for all that its number tells
//	source, date   where it is written, and when it was read there
//
// A list that a publisher has signed is of the same form ([ParseList]) and takes the place of the one that is built in
// ([List.Signed]); a nil [List] is the latter.
//
// What an artifact is decides, and not how it is called: its own number, as its header states it, and its SHA-256
// where that is known ([List.Of]). A tag ([List.ForTag]) is for lists, in which there is nothing else.
package advisory
