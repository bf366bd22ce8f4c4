//go:build !unix

package fsatomic_test

func umask(int) {}
