package replica

// Still is a process that does nothing until somebody lets it go on.
type Still struct {
	PID    int
	Group  string // the directory of the control group with which it is frozen; "": it was stopped
	Thaws  bool   // not even SIGKILL ends it before the group is thawed, by its freezer.state
	Traced bool   // it was stopped by a debugger
}
