package cache_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

// Where redis-server is not installed there is nothing to ask for a cluster, TLS or users; .ci/run always has it.
func hasRedisServer() bool { return testenv.RedisKinds()[0] == "redis-server" }

func TestCluster(t *testing.T) {
	t.Parallel()
	if !hasRedisServer() {
		t.Log("no redis-server here: miniredis has no cluster")
		return
	}
	e := testenv.New(t, "plugins", "miniredis")
	nodes := testenv.StartRedisCluster(t, 3)
	p := e.Open(t, func(c *app.Options) { c.RedisURL = "redis://" + nodes[0].Addr + "?cluster=true" })
	x := newEntity(t, e)
	k := p.Cache.Kind("thing:", format("v1"), func(_ context.Context, id string) (cache.Entry, error) {
		x.loads.Add(1)
		return cache.Entry{Bytes: fmt.Append(nil, id, " ", x.value.Load())}, nil
	})
	const ids = 100 // in every bucket, on every node
	get := func(id int) string {
		t.Helper()
		got, err := k.Get(t.Context(), fmt.Sprint(id))
		if err != nil {
			t.Fatal(err)
		}
		return string(got.Bytes)
	}
	for range 2 {
		for id := range ids {
			if got, want := get(id), fmt.Sprint(id, " 0"); got != want {
				t.Fatalf("Get(%d) = %q, want %q", id, got, want)
			}
		}
	}
	if s := p.Cache.Stats(); s.Hits < ids/2 || s.RedisErrors > 0 {
		t.Errorf("%+v, want hits and no errors", s)
	}
	x.value.Add(1)
	for id := range ids {
		x.log(t, fmt.Sprint("thing:", id))
	}
	var invalidated []string
	for id := range ids / 2 {
		invalidated = append(invalidated, fmt.Sprint("thing:", id))
	}
	p.Cache.Invalidate(t.Context(), invalidated...)
	for id := range ids / 2 {
		if got, want := get(id), fmt.Sprint(id, " 1"); got != want {
			t.Errorf("own write: Get(%d) = %q, want %q", id, got, want)
		}
	}
	for _, n := range nodes {
		for _, wm := range n.Client.Keys(t.Context(), "*:wm:????????????????").Val() {
			n.Client.HIncrBy(t.Context(), wm, "t", -2000)
		}
	}
	for id := range ids {
		if got, want := get(id), fmt.Sprint(id, " 1"); got != want {
			t.Errorf("after the syncs: Get(%d) = %q, want %q", id, got, want)
		}
	}
}

func TestTLSAndUser(t *testing.T) {
	t.Parallel()
	if !hasRedisServer() {
		t.Log("no redis-server here: miniredis has no ACL")
		return
	}
	dir := certificate(t)
	port := testenv.FreePort(t)
	testenv.StartRedis(t, "redis-server", "--tls-port", fmt.Sprint(port), "--tls-auth-clients", "no",
		"--tls-cert-file", filepath.Join(dir, "cert.pem"), "--tls-key-file", filepath.Join(dir, "key.pem"),
		"--user", "default", "off",
		// What local/README.md says the service needs, and nothing else.
		"--user", "game", "on", ">s3cret", "~*", "+hmget", "+hget", "+hgetall", "+hset", "+hdel", "+hkeys", "+get", "+set", "+del", "+time", "+pttl", "+pexpire", "+eval", "+evalsha")
	e := testenv.New(t, "plugins", "miniredis")
	x := newEntity(t, e)
	// On a busy machine a call may time out. Without a right each attempt fails.
	for attempt := 1; ; attempt++ {
		p := e.Open(t, func(c *app.Options) {
			c.RedisURL = fmt.Sprintf("rediss://game:s3cret@127.0.0.1:%d", port)
		})
		k := x.open(p, "v1")
		for range 3 {
			read(t, k)
		}
		p.Cache.Invalidate(t.Context(), x.key)
		s := p.Cache.Stats()
		if s.Hits >= 2 && s.RedisErrors == 0 && s.FailedDeletes == 0 {
			break
		}
		if attempt == 20 {
			t.Fatalf("%+v, want 2 hits and no errors", s)
		}
	}

	t.Run("wrong password", func(t *testing.T) {
		p := e.Open(t, func(c *app.Options) {
			c.RedisURL = fmt.Sprintf("rediss://game:wrong@127.0.0.1:%d", port)
		})
		k := x.open(p, "v1")
		for range 3 {
			read(t, k)
		}
		if s := p.Cache.Stats(); s.Hits != 0 {
			t.Errorf("%+v, want no hits", s)
		}
	})
}

func TestConnectHidesTheURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"redis://:s3cret@host:port", "http://s3cret@host", "redis://h/x?bad=s3cret", "://s3cret", "redis://:s3cret@h?cluster=true&bad=1"} {
		if _, err := cache.Connect(url, cache.ConnectOptions{}); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Connect(%q) = %v, want an error without the secret", url, err)
		}
	}
}

// keyPair is a self-signed certificate for 127.0.0.1 and its key, one for this process: the system's roots are read once.
var keyPair = sync.OnceValues(func() (certificate, key []byte) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		panic(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certDER}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
})

// certificate writes the pair into a folder, and has this process trust it.
func certificate(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	cert, key := keyPair()
	for name, text := range map[string][]byte{"cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Setenv("SSL_CERT_FILE", filepath.Join(dir, "cert.pem")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// format is a format of the tests.
func format(name string) func() string { return func() string { return name } }
