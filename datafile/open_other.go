//go:build !linux

package datafile

import "os"

func open(name string) (*os.File, error) { return openByName(name) }
