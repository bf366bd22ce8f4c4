// Package verify judges multiversion binaries: may this one be trusted, and may it
// take the place of that one. It reads and writes nothing else.
//
// [File] checks everything that the file says of itself against its bytes, in one
// pass over it. [Replace] compares two files that hold with what is known of
// the cluster. They are two questions with two reports: a file that fails the
// first is damaged or forged, one that fails the second is good but not for this place.
//
// Both answer with findings, all of them, not only the first that failed. A
// check that was not made is not-checked, never held.
//
// The checksums find damage, not forgery: they have no key. Where a file comes from
// is for a SHA-256 from a trusted place to say, see [Options.SHA256].
package verify
