package main

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/twitchtv/twirp"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/testenv"
)

// dialAll connects to all programs and calls them in turn. It retries only calls that no server has started, which
// grpc-go always does.
func dialAll(t *testing.T, programs ...*program) *grpc.ClientConn {
	t.Helper()
	r := manual.NewBuilderWithScheme("test")
	var to resolver.State
	for _, p := range programs {
		to.Addresses = append(to.Addresses, resolver.Address{Addr: strings.TrimPrefix(p.url, "http://")})
	}
	r.InitialState(to)
	c, err := grpc.NewClient("test:///all", grpc.WithResolvers(r), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableRetry(), grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// load is the calls of clients until stop is closed.
type load struct {
	stop         chan struct{}
	all          sync.WaitGroup
	grpc, twirp  atomic.Int64 // calls that were answered
	grpcFailures atomic.Int64
	first        atomic.Pointer[error]
}

func (l *load) failed(err error) {
	l.grpcFailures.Add(1)
	l.first.CompareAndSwap(nil, &err)
}

// run makes concurrent calls on each connection.
func (l *load) run(t *testing.T, conns []*grpc.ClientConn, user string) {
	for _, c := range conns {
		for range 4 {
			l.all.Go(func() {
				for {
					select {
					case <-l.stop:
						return
					default:
					}
					if got, err := getUser(t, c, user); err != nil || got.GetId() != user {
						l.failed(err)
						return
					}
					l.grpc.Add(1)
				}
			})
		}
	}
}

// runTwirp makes calls on one connection until the server closes it.
func (l *load) runTwirp(t *testing.T, url, user string) {
	l.all.Go(func() {
		c := testenv.NewOneConnection()
		defer c.Close()
		users := databasev1.NewUserServiceProtobufClient(url, &http.Client{Transport: c})
		for !c.Closed() {
			_, err := users.GetUser(context.WithoutCancel(t.Context()), &databasev1.GetUserRequest{UserId: user})
			if e, ok := err.(twirp.Error); ok && e.Meta("reason") == "" && !c.Closed() {
				l.failed(err)
				return
			}
			l.twirp.Add(1)
		}
	})
}

// TestTerminatedUnderLoad stops a program under gRPC and Twirp load. No call is lost: the program answers the calls
// that it has started, and gRPC clients send the others to another program.
func TestTerminatedUnderLoad(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, "plugins", "miniredis")
	user := e.AddUser(t, "Alice")
	ends, stays := start(t, outside(e)), start(t, outside(e))
	l := &load{stop: make(chan struct{})}
	var conns []*grpc.ClientConn
	for range 4 {
		conns = append(conns, dialAll(t, ends, stays))
	}
	l.run(t, conns, user)
	for range 4 {
		l.runTwirp(t, ends.url, user)
	}
	eventually(t, "load", func() bool { return l.grpc.Load() > 300 && l.twirp.Load() > 100 || l.grpcFailures.Load() > 0 })
	ends.signal(t, syscall.SIGTERM)
	ends.wantExit(t, 0)
	after := l.grpc.Load() + 100
	eventually(t, "load on the other program", func() bool { return l.grpc.Load() > after || l.grpcFailures.Load() > 0 })
	close(l.stop)
	l.all.Wait()
	if n := l.grpcFailures.Load(); n > 0 {
		t.Errorf("%d of %d calls failed, the first with %v; want none", n, n+l.grpc.Load()+l.twirp.Load(), *l.first.Load())
	}
	log := ends.stderr.String()
	if !strings.Contains(log, `"protocol":"grpc","code":"ok"`) || !strings.Contains(log, `"protocol":"protobuf","code":"ok"`) {
		t.Error("the program that ended was not called by both protocols")
	}
	if strings.Contains(log, "cut off") || !strings.Contains(log, `"msg":"stopped"`) {
		t.Error("the program cut requests off")
	}
}
