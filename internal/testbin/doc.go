// Package testbin makes fixtures for tests: real multiversion binaries, made of
// real executables that run and say which release they are, natively and
// without any tool but go itself.
//
//	Build, BuildFile     a multiversion binary after a Spec, of any platform
//	Executable, Self     a plain executable
//	Mutate, Reseal       break one rule, with all checksums right
//	Load, Parse          parse, without and with the checksums of the contents
//	Zip                  a release archive
//	Full, Sampled        whether a test takes all of a promise, or a sample
//
// The executables come from one small program (testdata/program), built once a test process
// for each GOOS and GOARCH and then stamped with release and seed. It takes a command:
//
//	version     prints "testbin version 0.17.8 1" (release and seed); also without a command
//	args        prints argv, one a line
//	env NAME    prints a variable
//	pid         prints its process id
//	exe         prints the link /proc/self/exe, and argv[0]
//	exit N      exits with code N
//	wait        prints "waiting", then the signal that it gets
//	cat         copies standard input to standard output
//
// A stamped executable for macOS runs on no Mac with an ARM processor: its signature is
// for the unstamped one.
//
// Only tests import this package.
package testbin
