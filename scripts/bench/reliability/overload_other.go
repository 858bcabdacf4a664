//go:build !linux

package main

import "errors"

func pin(int, uint64) error {
	return errors.New("not measured: this needs Linux, to restrict a process to a CPU")
}
