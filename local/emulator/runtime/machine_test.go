package runtime

import (
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/osirose-new/database-service/local/emulator/template"
	"github.com/osirose-new/database-service/shared/testenv"
)

// writeELF writes the header of a Linux program.
func writeELF(t *testing.T, path string, machine elf.Machine) {
	t.Helper()
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	text, err := binary.Append(nil, binary.LittleEndian, h)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestCheckMachine(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Emulator: a program for another machine")
	dir := t.TempDir()
	for _, machine := range []elf.Machine{elf.EM_X86_64, elf.EM_AARCH64, elf.EM_386} {
		writeELF(t, filepath.Join(dir, machine.String()), machine)
	}
	if err := os.WriteFile(filepath.Join(dir, "script"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ file, goos, goarch, want string }{
		{"EM_X86_64", "linux", "amd64", ""},
		{"EM_AARCH64", "linux", "arm64", ""},
		{"EM_386", "linux", "amd64", ""},
		{"script", "darwin", "arm64", ""},
		{"EM_AARCH64", "linux", "amd64", "EM_AARCH64 is for arm64, and this machine is amd64: build it with scripts/build -amd64"},
		{"EM_X86_64", "linux", "arm64", "EM_X86_64 is for amd64, and this machine is arm64: build it with scripts/build"},
		{"EM_X86_64", "linux", "riscv64", "run the emulator with -watch and without -functions, which builds for it"},
		{"EM_AARCH64", "darwin", "arm64", "is for Linux, and this machine is darwin: run the emulator with -watch and without -functions, which builds for it"},
		{"nothing", "linux", "amd64", "no such file"},
	} {
		err := checkMachine(filepath.Join(dir, test.file), test.goos, test.goarch)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasSuffix(err.Error(), test.want) && !strings.Contains(err.Error(), test.want+" ")) {
			t.Errorf("%s on %s/%s: got %v, want %q", test.file, test.goos, test.goarch, err, test.want)
		}
		if err != nil {
			sentences.Add(strings.ReplaceAll(err.Error(), dir, "DIR"))
		}
	}
}

// A program for another machine is refused at the start, not at the first invocation.
func TestProcessesRefusesMachine(t *testing.T) {
	t.Parallel()
	h := NewHost(Config{})
	t.Cleanup(h.Close)
	for machine, arch := range goArch {
		path := filepath.Join(t.TempDir(), arch, "bootstrap")
		writeELF(t, path, machine)
		_, err := h.Processes(&template.Function{ID: "F"}, path)
		if want := checkMachine(path, runtime.GOOS, runtime.GOARCH); (err == nil) != (want == nil) || err != nil && !strings.Contains(err.Error(), want.Error()) {
			t.Errorf("%s: got %v, want %v", arch, err, want)
		}
	}
}
