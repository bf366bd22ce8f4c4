//go:build unix

package fsatomic_test

import "syscall"

func umask(mask int) { syscall.Umask(mask) }
