// Package archive reads the zip that a release comes in: one executable, sometimes with a few
// small companions (a licence, a readme), and nothing else.
//
// A zip can be read from its front or from its back, and the two need not agree:
//
//	local header, data [, descriptor]     front: what a stream meets, while it still arrives
//	...
//	central directory                     back: what most tools believe
//	[zip64 end record and locator]
//	end record [comment]
//
// Readers that trust one side alone have been fooled with the other. Here both are read, and they
// must tell the same story: every local header is listed exactly once in the directory with the same
// name, method, CRC-32, sizes and offset, the pieces stand back to back from byte 0 to the last one,
// and nothing follows.
//
//   - [NewReader] works on a stream. It hands out the executable while the archive arrives, then
//     reads on through the directory to the end. Its io.EOF means that everything held.
//   - [Open] works on random access, for looking into a local archive. It reads only headers; a stored
//     executable can then be read in place.
//
// Both accept the same archives, with one exception that is a property of the format: the end of a
// stored entry whose size comes behind it cannot be found in a stream ([RuleStoredDescriptor]).
//
// Archives are hostile until proven otherwise: every size and count meets a limit before memory or
// time is spent on it (see [SizeMax]), names are compared and never used as paths, and no bytes make
// either reader panic. Nothing here writes to the disk.
package archive
