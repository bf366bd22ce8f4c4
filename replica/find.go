package replica

import (
	"context"
	"errors"
	"sync"

	"github.com/tbctl/tbctl/multiversion"
)

// ErrNotSupported says that replicas cannot be found on this system: it takes
// Linux's /proc.
var ErrNotSupported = errors.New("finding running replicas is only possible on Linux")

// ErrTooMany says that /proc holds more than this package is willing to look at.
var ErrTooMany = errors.New("too many processes or descriptors")

// Options say where and how to look. The zero value is right for use.
type Options struct {
	// Proc is where the process file system is. Empty stands for /proc.
	Proc string

	// Users are users whose replicas are believed, besides root, this process's user, the
	// owners of the target and of its directory, and the accounts of the system: the
	// owners of data files that are known to belong to the target, for example.
	Users []uint32

	// DataFiles are known to belong to the target's replicas: a process that has one, but runs from elsewhere, is told
	// in [View].Unseen, and one that runs from the target and has one open to write is believed, whoever started it.
	DataFiles []string

	// Ignore are processes that are left out, whatever they look like.
	Ignore []int

	// Only are the processes that are looked at, if there are any in it; otherwise all are.
	Only []int
}

// Finder finds the processes of one target again and again, and remembers what it
// costs to find out. It must not be used by two goroutines at the same time.
type Finder struct {
	target  string
	options Options

	mu    sync.Mutex // looks that did not answer in time may still go on
	plain map[executable]multiversion.Checksum
	busy  map[int]bool // the processes that are being looked at
}

// executable identifies what a process executes, which cannot change while it does.
type executable struct {
	pid      int
	started  uint64
	dev, ino uint64
}

// NewFinder returns a Finder for the path of a binary, which need not exist.
func NewFinder(target string, options Options) *Finder {
	return &Finder{target: target, options: options, plain: make(map[executable]multiversion.Checksum), busy: make(map[int]bool)}
}

// View is what a look at the processes of this host found.
type View struct {
	// Processes run from the target, or say so: replicas and others, by their pid.
	Processes []Process

	// Unseen are the reasons why there may be replicas besides. Without any, what is not
	// among the processes is not there.
	Unseen []Unseen

	// Skipped is how many processes of strangers were not looked into, since they did not answer in time. None of them
	// counts: they hinder nothing, but what they are is not known.
	Skipped int

	// ByName is set where other users' processes are seen, but not what they execute:
	// what they call themselves is all that is known of them.
	ByName bool

	// Held are the releases of the files at the target and beside it, as TARGET-old.
	// A replica that was started from the target runs one of them.
	Held []multiversion.Release
}

// Find returns the processes that run from the target. What runs from TARGET-old or from a
// file that was deleted there counts too. Processes that end meanwhile are left out. The
// error is ErrNotSupported, ErrTooMany, the context's, or that /proc could not be read; a
// process that could not be read is no error.
func (f *Finder) Find(ctx context.Context) (View, error) { return f.find(ctx) }

// Find is [Finder.Find] for one time.
func Find(ctx context.Context, target string, options Options) (View, error) {
	return NewFinder(target, options).Find(ctx)
}
