// Package durable writes what has to last but replaces nothing that runs: ordinary files,
// which appear at their names complete or not at all ([Create], [WriteFile]), downloads
// that are resumed ([OpenPartial]), journals ([Append], [ScanJournal]), directories
// ([MkdirAll]) and scratch files ([NewScratch]). A [Draft] writes only what is not there already.
// [OpenLocked] and [WhileBusy] are how a file is locked against other processes.
//
// What has returned nil is on the disk, names included, but for partial downloads and scratch
// files. A failed fsync is a [SyncError] and is never tried again.
//
// A symbolic link counts as what it leads to for Create and WriteFile; Append and
// OpenPartial refuse it.
package durable
