package testenv

import (
	"testing"

	"github.com/osirose-new/database-service/shared/faultproxy"
)

// NewProxy starts a proxy that ends with the test.
func NewProxy(t testing.TB, target string) *faultproxy.Proxy {
	t.Helper()
	p, err := faultproxy.New(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}
