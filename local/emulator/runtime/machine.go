package runtime

import (
	"debug/elf"
	"fmt"
	"os"
)

// goArch maps Lambda's machines to Go's names.
var goArch = map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}

// checkMachine refuses a program that was built for Lambda and that goos and goarch cannot run. It accepts every other file, for
// example a script; the kernel decides whether that runs.
func checkMachine(path, goos, goarch string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w; scripts/build builds it", err)
	}
	defer func() { _ = f.Close() }() // only read
	program, err := elf.NewFile(f)
	if err != nil {
		return nil // not a Linux program
	}
	built, known := goArch[program.Machine]
	switch {
	case goos != "linux":
		return fmt.Errorf("%s is for Linux, and this machine is %s: run the emulator with -watch and without -functions, which builds for it", path, goos)
	case !known || built == goarch:
		return nil
	case goarch == "amd64":
		return fmt.Errorf("%s is for %s, and this machine is amd64: build it with scripts/build -amd64", path, built)
	case goarch == "arm64":
		return fmt.Errorf("%s is for %s, and this machine is arm64: build it with scripts/build", path, built)
	}
	return fmt.Errorf("%s is for %s, and this machine is %s: run the emulator with -watch and without -functions, which builds for it", path, built, goarch)
}
