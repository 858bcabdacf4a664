package cache_test

import (
	"testing"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache/memory"
	"github.com/osirose-new/database-service/shared/testenv"
)

// A sync forgets an entity whose id has a colon, too.
func TestMemoryColon(t *testing.T) {
	t.Parallel()
	onMiniredis(t, func(t *testing.T, x *kept) {
		x.key = "thing:a:b"
		x.Sync()
		if _, err := x.kind.Get(t.Context(), "a:b"); err != nil {
			t.Fatal(err)
		}
		x.wantServed(t, "kept", true)
		x.log(t, x.key)
		x.Sync()
		x.wantServed(t, "after a change", false)
	})
}

// A sync takes keys apart at their first colon.
func TestMemoryPrefix(t *testing.T) {
	t.Parallel()
	c := testenv.New(t, testenv.Variants[0], "miniredis", func(o *app.Options) { o.Memory = memory.New(1 << 20) }).Program.Cache
	for prefix, want := range map[string]bool{"a:": true, "a": false, "a:b": false, "a:b:": false, "": false} {
		func() {
			defer func() {
				if refused := recover() != nil; refused == want {
					t.Errorf("prefix %q: refused %v, want %v", prefix, refused, !want)
				}
			}()
			c.Kind(prefix, format("v1"), nil).InProcess(nil)
		}()
	}
}
