//go:build !linux

package runtime

import "os"

func peakMemory(int) int { return 0 }

func peakMemoryOf(*os.ProcessState) int { return 0 }
