package callers_test

import (
	"net"
	"testing"

	"github.com/osirose-new/database-service/shared/callers"
)

// All limits by address count by HostOf. One client can have all addresses of an IPv6 network of 64 bits.
func TestHostOf(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "::1": "::/64",
	} {
		if got := callers.HostOf(&net.TCPAddr{IP: net.ParseIP(address), Port: 1}); got != want {
			t.Errorf("HostOf(%s) = %s, want %s", address, got, want)
		}
	}
	if got := callers.HostOf(&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}); got != "fe80::/64" {
		t.Errorf("HostOf(fe80::1%%eth0) = %s, want fe80::/64", got)
	}
	if got := callers.HostOf(&net.UnixAddr{}); got != "" {
		t.Errorf("HostOf of no TCP address = %s, want none", got)
	}
}
