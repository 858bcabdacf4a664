package testenv

import "syscall"

// setParentDeath lets the child die with this process, also where that is killed.
func setParentDeath(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
