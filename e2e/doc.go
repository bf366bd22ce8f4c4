// Package e2e tests the tbctl program as its users run it: the built binary, real
// servers (nginx, tinyproxy, sshd), real signatures, real faults on the line.
//
// It is a module of its own, so that what only these tests need stays out of the
// product's go.mod. It has no code but tests:
//
//	go -C e2e test -count=1 ./...
//
// (The program is built anew each time, which go's cache of test results does not know.)
//
// # Nothing leaves the host
//
// The test binary starts itself again in a network namespace of its own, in which
// there is only a loopback interface, and in mount and process namespaces of its own.
// So no packet can reach another machine, whatever a test or tbctl does; names like
// github.com stand in a hosts file of the namespace, and are servers of the tests; no
// port can be taken by somebody else; and no process outlives the tests.
//
// That takes root on Linux. Without it, or without a program that a test needs, tests
// say why they skip. They install nothing.
package e2e
