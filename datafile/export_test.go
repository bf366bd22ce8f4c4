package datafile

// ReadOnce reads without another attempt.
var ReadOnce = readOnce
