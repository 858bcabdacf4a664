//go:build !linux

package childprocess

import "syscall"

func setParentDeathSignal(*syscall.SysProcAttr, syscall.Signal) {}
