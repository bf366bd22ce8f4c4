// Package host says what the replicas and the data files of this host need of the
// next binary at a target, and what each replica will do with the file that is there.
//
// [Look] gathers the needs: what an operator says, what data files hold, and what the
// replicas that run from the target run and have offered. They are the input of
// [verify.Replace]. It changes nothing and judges no file. [Foresee] says what a replica will
// do next. A [Site] is a target with its replicas: it installs, rolls back, judges and waits by
// what Look finds, and remembers it.
//
// # Seen, not there, not seen
//
// What cannot be seen from here is told apart from what is not there: Report.Unseen says why
// there may be replicas, or needs, that are not known. Report.Settled says that it is known
// all the same what is needed, because the operator has said it, or because every data file
// that was seen with the target before still tells it. verify.Replace refuses a file that lacks a
// release of the installed one while something is unseen and not settled.
//
// A replica that is seen, and whose release is not known, is an error, unless the operator
// has said it: the next binary could be one that it cannot start from.
//
// # Strangers
//
// Package replica says whose word for a process is taken, and which replicas count. A stranger's replica that does not adds only needs
// that it can have come to by running the target: releases that the target or the file beside it
// holds. It is no error, whatever of it is not known, it does not speak against the operator's word
// that nothing runs, and the operator can leave it out: see Query.Ignore.
package host
