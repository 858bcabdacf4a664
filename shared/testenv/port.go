package testenv

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
	"time"
)

// Patience bounds what a test waits for if the event comes immediately or never. It is for a hang, not for a slow machine.
const Patience = 2 * time.Minute

// FreePort returns a TCP port of 127.0.0.1 that stays free until the test's program listens on it, and between two starts
// of that program. It is below the kernel's ephemeral range (from 32768), so no connection and no listener on port 0 takes
// it. And this process holds the UDP port of the same number until the test ends, so no other caller of FreePort gets it.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 15000 + rand.IntN(15000)
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		held, err := net.ListenPacket("udp", address)
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			_ = held.Close()
			continue
		}
		_ = l.Close()
		t.Cleanup(func() { _ = held.Close() })
		return port
	}
	t.Fatal("no free port")
	return 0
}
