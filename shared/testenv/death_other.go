//go:build !linux

package testenv

import "syscall"

func setParentDeath(*syscall.SysProcAttr) {}
