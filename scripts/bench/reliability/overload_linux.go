package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// pin restricts a process to the CPUs whose bits are set.
func pin(pid int, cpus uint64) error {
	tasks, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil {
		return err
	}
	for _, t := range tasks { // a new thread inherits the CPUs of the thread that starts it
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(tid), unsafe.Sizeof(cpus), uintptr(unsafe.Pointer(&cpus)))
		if errno != 0 && !errors.Is(errno, syscall.ESRCH) { // the thread has ended
			return fmt.Errorf("set the CPUs of process %d: %w", pid, errno)
		}
	}
	return nil
}
