// Package fsatomic puts a file in the place of another one such that at every
// moment, through every crash and power cut, one of the two is there, whole
// and with its attributes. It knows nothing of what the files contain.
//
// # The protocol
//
// A replica of TigerBeetle stats its binary once a second and reads it again
// when anything but the access time differs. So a replacement is one visible
// change, and nothing touches the new file after it. The steps, for a target
// NAME in a directory that is held open throughout:
//
//  1. [Lookup] says what is there and [Target.Check] what hinders; nothing
//     is changed. Symbolic links are followed: the file is replaced where it is.
//  2. [Acquire] locks .NAME.tbctl-lock, a file of its own that is never removed.
//  3. [Recover] deals with what earlier, interrupted runs left.
//  4. [Stage] makes .NAME.tbctl-stage-RANDOM with mode 0600. The caller writes
//     it, seals it, reads it back through the descriptor and judges it. What is
//     changed after that is not put in place.
//  5. [Staged.SetAttributes] sets owner, mode, ACL, capabilities, label and user
//     attributes, in this order, and reads each back.
//     [Lock.WriteState] puts down what is about to be done, in .NAME.tbctl-state.
//  6. [Staged.Commit] syncs the file; renames it to .NAME.tbctl-ready-INODE,
//     where INODE is its own inode number; syncs the directory; checks that NAME
//     still is exactly what the plan saw; and exchanges the two names in one
//     step (RENAME_EXCHANGE). That is the visible change: the previous file is
//     not touched before it, the new one not after it. It syncs the directory,
//     renames the previous file, which now has the ready name, to NAME-old, and
//     syncs the directory again.
//     [Lock.LowerOld] takes from it what only the target needs.
//  7. [ReadBack] opens NAME again for the caller to compare.
//
// Where the file system cannot exchange, the previous file gets a second place
// .NAME.tbctl-prev-INODE-OTHER, OTHER being its inode number, before the swap, by a reflink, else a hard link, else a
// copy, and the directory is synced; then the ready file is renamed over NAME,
// and after the next sync prev to NAME-old. The hard link alters the previous
// file's link count and change time: a watcher sees one change more, of the same
// contents. Where there is no file yet, the ready file is renamed to NAME without
// replacing what may have appeared there.
//
// [SwapBack] exchanges in the same way with NAME-old, which before gets the
// attributes of the file that it displaces, as a new file would.
//
// # After a crash
//
// The names say how far it got, and no record is needed while the file system numbers its files as it did:
//
//   - stage: incomplete. It is removed.
//   - ready-N whose own inode is N: never swapped. It is removed.
//   - ready-N or prev-N-O, and the target's inode is N: swapped. It is the
//     previous file and becomes NAME-old, unless it has the target's contents.
//   - prev-N-O, and the target's inode is O: never swapped. It is removed if it has the target's contents.
//   - ready-N or prev-N-O, none of them is the target, and it has the target's
//     contents: it is of no use. It is removed.
//   - ready-N or prev-N-O, and none of them is the target: another program replaced
//     it afterwards. It becomes NAME-old if there is none, else it is left and
//     reported.
//
// A file system that was mounted again, or restored, may number its files in another way, also so that the names seem to say
// something else. So where the caller has a record of the swap, see [Recorded], the contents of ready and prev decide before the
// numbers: the file that was displaced, beside the one that displaced it, becomes NAME-old; and a new file beside the one that it was to
// displace is removed.
//
// A file of another user, in a directory into which others may write, never
// becomes NAME-old: it is left and reported. And a new file never has an inode
// number that is in the name of a leftover.
//
// # Inode numbers
//
// They are quick to compare, and where they say that two names are one file they are
// right. Some file systems, such as those of FUSE, give every name a number of its own,
// or another one after a while. So where a number differs from what is expected after the
// swap, the contents decide: the bytes at the name against those of the open file. So they do
// for the file that is to be replaced, where the caller has read it, see [Target.Is]: a file of
// a lower layer of overlayfs gets another number, and is no hard link any more, by the swap itself.
//
// # Errors
//
// Before the swap an error means: the target is untouched, and the staged file is
// gone as far as it could be removed. From the swap on it is a
// [UnknownStateError], which says what is certain. A failed fsync is a
// [durable.SyncError] and never tried again.
package fsatomic
