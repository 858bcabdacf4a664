package emulator

import (
	"debug/elf"
	"fmt"
	"os"
)

// goArch names the machines that Lambda has as Go does.
var goArch = map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}

// checkMachine refuses a program that goos and goarch cannot run and that was built for Lambda. What is no such program, a
// script say, is left to the kernel.
func checkMachine(path, goos, goarch string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	program, err := elf.NewFile(f)
	if err != nil {
		return nil // not for Linux
	}
	built, known := goArch[program.Machine]
	switch {
	case goos != "linux":
		return fmt.Errorf("%s is for Linux, and this machine is %s: -watch without -functions builds for it", path, goos)
	case !known || built == goarch:
		return nil
	case goarch == "amd64":
		return fmt.Errorf("%s is for %s, and this machine is amd64: scripts/build -amd64", path, built)
	case goarch == "arm64":
		return fmt.Errorf("%s is for %s, and this machine is arm64: scripts/build", path, built)
	}
	return fmt.Errorf("%s is for %s, and this machine is %s: -watch without -functions builds for it", path, built, goarch)
}
