// Package host says what the replicas and the data files of this host need of the
// next binary at a target, and what each replica will do with the file that is there.
//
// [Look] gathers the needs: what an operator says, what data files hold, and what the
// replicas that run from the target run and have offered. They are the input of
// [verify.Replace]. It changes nothing and judges no file.
//
// A replica of which nobody knows what it runs is an error, unless the operator has said
// it: the next binary could be one that it cannot start from.
package host
