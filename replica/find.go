package replica

import (
	"context"
	"errors"

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
}

// Finder finds the processes of one target again and again, and remembers what it
// costs to find out. It must not be used by two goroutines at the same time.
type Finder struct {
	target  string
	options Options
	plain   map[executable]multiversion.Checksum
}

// executable identifies what a process executes, which cannot change while it does.
type executable struct {
	pid      int
	started  uint64
	dev, ino uint64
}

// NewFinder returns a Finder for the path of a binary, which need not exist.
func NewFinder(target string, options Options) *Finder {
	if options.Proc == "" {
		options.Proc = "/proc"
	}
	return &Finder{target: target, options: options, plain: make(map[executable]multiversion.Checksum)}
}

// Find returns the processes that run from the target, by their pid: replicas
// and others. What runs from TARGET-old or from a file that was deleted there
// counts too. Processes that end meanwhile are left out. The error is
// ErrNotSupported, ErrTooMany, the context's, or that /proc could not be read; a
// process that could not be read is no error.
func (f *Finder) Find(ctx context.Context) ([]Process, error) { return f.find(ctx) }

// Find is [Finder.Find] for one time.
func Find(ctx context.Context, target string, options Options) ([]Process, error) {
	return NewFinder(target, options).Find(ctx)
}
