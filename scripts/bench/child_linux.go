package main

import "syscall"

// dieWithParent ends the child when the thread that started it ends, also where we are killed.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
