// Package release finds a TigerBeetle release and fetches its executable.
//
// [Resolve] turns what an operator types (a tag, a URL, a path, "-") into an [Artifact], without
// touching the network but to ask a mirror for its newest release. [Artifact.Fetch] streams the executable to a writer: download, inflating,
// hashing and writing overlap, in a few MiB of memory whatever the size.
//
//	Resolve ─► Artifact ─► Fetch
//	                        ├─ vouchers   claim what the bytes should be: --sha256, SHA256SUMS, GitHub's digest, minisign
//	                        ├─ source     a stream: a download (retries, resumes), a file, standard input
//	                        ├─ unpacking  the zip's entry, or the executable itself
//	                        └─ judgement  the claims against what came: Evidence, or a TrustError
//
// Where the bytes are is a [Source], and what says of them that they are the right ones is a [Voucher]: neither
// knows of the other. [From] takes those of another package.
//
// # What is trusted
//
// What is stated about the bytes must hold: [Artifact.Expected] finds it out without them. What was asked for by
// its name and cannot be had now is an [*UnavailableError], before the first byte comes; what is there and
// cannot be compared is evidence that was not checked, with the reason. An [*ArtifactError] blames the artifact,
// and no other error does.
//
// Nothing that was written to the destination is to be trusted before Fetch has returned nil. Even
// then the bytes are only as good as the evidence that held ([Fetched.Trusted]): without any, TLS and
// the zip's CRC-32 find damage, not forgery.
//
// # A download that finishes
//
// A transfer that is cut goes on where it stopped, within one Fetch and, when a cache directory is
// given, in a later process too. What is missing is asked for with Range and If-Range, only under a
// validator that identifies bytes (a strong ETag, or a Last-Modified that is old enough). When a
// server sends everything again, the part already handed out is compared by its hash and passed
// over, so that the destination never sees a byte twice. When it turns out to be another file, the
// destination is reset, and everything is fetched again.
//
// There is no limit on the time that a transfer takes, only on the time in which nothing comes.
//
// # What leaves this host
//
// Credentials go to the host that they were given for, and never along with a redirect to another
// one; no redirect may leave https. Error messages and results show URLs without user names,
// passwords, queries and fragments, because that is where secrets are.
package release
