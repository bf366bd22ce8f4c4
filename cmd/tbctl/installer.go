package main

import (
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/interrupt"
	"github.com/tbctl/tbctl/vfs"
)

// installer is the library's installer with this process's particulars.
func (a *app) installer() *install.Installer {
	return &install.Installer{
		FS: vfs.OS(), Journal: a.journal(),
		Command: "tbctl " + strings.Join(a.line.Shown(), " "), User: userName(), SudoUser: a.getenv("SUDO_USER"),
		Observe: a.observe, Advise: a.advise, Advisories: a.allAdvisories(),
	}
}

func (a *app) journal() *install.Journal {
	return &install.Journal{FS: vfs.OS(), Dir: a.stateDir()}
}

// observe tells a person which step is taken, and lets a signal leave no swap half done.
func (a *app) observe(step install.Step) {
	switch grace := a.grace(); { // of an installation for another tbctl the whole session is waited for
	case grace == interrupt.Stays:
	case step == install.StepLock:
		interrupt.Set(a.ctx, interrupt.Clears)
	case step == install.StepCommit:
		interrupt.Set(a.ctx, interrupt.Stays)
	}
	names := map[install.Step]string{
		install.StepVerify: "verifying what is on the disk", install.StepCommit: "swapping", install.StepReadBack: "reading the installed file back",
	}
	if name, ok := names[step]; ok {
		a.progress.Start(name, -1)
	}
}

func userName() string {
	if current, err := user.Current(); err == nil {
		return current.Username
	}
	return strconv.Itoa(os.Geteuid())
}
