package main

import "syscall"

func ctime(stat *syscall.Stat_t) any { return stat.Ctimespec }
