package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	_ "net/http/pprof" // on the control listener
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/osirose-new/database-service/local/connmux"
	"github.com/osirose-new/database-service/local/grpcserver"
	"github.com/osirose-new/database-service/local/metrics"
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/cache/memory"
	"github.com/osirose-new/database-service/shared/callers"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/services"
)

const (
	serverMode = "-serve"        // the argument that makes this program the server
	plainMode  = "BENCH_PLAIN=1" // makes it the server to compare with

	// The listeners of a server: the whole stack.
	stack       = "stack"
	remembering = "stack that keeps users"
	guarded     = "stack for callers with a key"
	callerKey   = "the key"
	// Those of the server to compare with.
	plain        = "plain"
	plainGet     = "plain GET"
	plainRow     = "plain SELECT"
	plainSession = "plain session"
	plainList    = "plain SELECT of five"
	control      = "control"
)

// usage is the resources that the server process has used so far.
type usage struct {
	CPU     time.Duration
	Mallocs uint64
	Bytes   uint64
	Cache   cache.Stats
}

// serve runs until stdin ends, which it does with the parent. It reads the service's environment variables, writes the
// URLs of its listeners to stdout as JSON, and its log to stderr.
func serve() error {
	if os.Getenv("BENCH_PROFILE") != "" {
		runtime.MemProfileRate = 1 << 10
	}
	key := callers.NewKey()
	create := newPlain
	if os.Getenv("BENCH_PLAIN") == "" {
		defer runtime.KeepAlive(make([]byte, 32<<20)) // as the program local does
		create = func() (map[string]http.Handler, *grpcserver.Server, error) { return newHandlers(key) }
	}
	handlers, grpcServer, err := create()
	if err != nil {
		return err
	}
	urls := map[string]string{callerKey: key.Text}
	for name, h := range handlers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		urls[name] = "http://" + l.Addr().String()
		if name == stack {
			split := connmux.Split(l, nil)
			go grpcServer.Serve(split.GRPC()) // ends with the process
			l = split.HTTP()
		}
		go http.Serve(l, h) // ends with the process
	}
	if err := json.NewEncoder(os.Stdout).Encode(urls); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func newHandlers(key callers.Key) (map[string]http.Handler, *grpcserver.Server, error) {
	c, err := config.Read(os.Getenv)
	if err != nil {
		return nil, nil, err
	}
	options := app.Options{Config: c, LogTo: app.NewLogBuffer(os.Stderr)} // as the program local does
	metrics.New("").Watch(&options.Telemetry)
	p, err := app.Open(options)
	if err != nil {
		return nil, nil, err
	}
	http.HandleFunc("/usage", func(w http.ResponseWriter, _ *http.Request) { writeUsage(w, p.Cache.Stats()) })
	handler, grpcServer := newStack(p)
	withKey, err := newGuarded(p, key)
	if err != nil {
		return nil, nil, err
	}
	inProcess, err := newRemembering(options)
	if err != nil {
		return nil, nil, err
	}
	return map[string]http.Handler{
		stack:       handler,
		guarded:     withKey,
		remembering: inProcess,
		control:     http.DefaultServeMux,
	}, grpcServer, nil
}

// newPlain makes the handlers to compare with, as a program without this one's code would have them.
func newPlain() (map[string]http.Handler, *grpcserver.Server, error) {
	pool, err := pgxpool.New(context.Background(), os.Getenv("BENCH_PLAIN_DATABASE_URL"))
	if err != nil {
		return nil, nil, err
	}
	redisOptions, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	if err != nil {
		return nil, nil, err
	}
	http.HandleFunc("/usage", func(w http.ResponseWriter, _ *http.Request) { writeUsage(w, cache.Stats{}) })
	return map[string]http.Handler{
		plain:        databasev1.NewUserServiceServer(constant{user: constantUser()}),
		plainGet:     databasev1.NewUserServiceServer(redisGet{client: redis.NewClient(redisOptions)}),
		plainRow:     databasev1.NewUserServiceServer(selectUser{pool: pool}),
		plainSession: databasev1.NewSessionServiceServer(selectSession{pool: pool}),
		plainList:    databasev1.NewCharacterDbServiceServer(selectList{pool: pool}),
		control:      http.DefaultServeMux,
	}, nil, nil
}

// newStack mounts the services as the program local does.
func newStack(p *app.Program) (http.Handler, *grpcserver.Server) {
	edge := p.Edge()
	all := services.New(p)
	return all.Handler(edge), grpcserver.New(edge, func() bool { return true }, grpcserver.All(all.Users, all.Characters, all.Sessions, all.Staff)...)
}

// newRemembering mounts the services on a cache that keeps users in the process.
func newRemembering(o app.Options) (http.Handler, error) {
	o.Memory, o.Telemetry = memory.New(o.CacheMemory), app.Telemetry{}
	metrics.New("").Watch(&o.Telemetry)
	p, err := app.Open(o)
	if err != nil {
		return nil, err
	}
	handler, _ := newStack(p)
	return handler, nil
}

// newGuarded mounts the services for callers with the key.
func newGuarded(p *app.Program, key callers.Key) (http.Handler, error) {
	now := time.Now()
	entry, err := callers.Entry("bench", []string{"world"}, key, now.Add(-time.Minute), now.Add(24*time.Hour))
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp("", "callers")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name()) // the gate keeps what it has read
	if _, err = file.WriteString(entry); err == nil {
		err = file.Close()
	}
	if err != nil {
		return nil, err
	}
	gate, err := callers.New(callers.Options{File: file.Name(), Plaintext: true})
	if err != nil {
		return nil, err
	}
	edge := rpcserver.New(p.Log)
	edge.Observe(p.Telemetry.Requests)
	edge.Guard(gate)
	return services.New(p).Handler(edge), nil
}

func writeUsage(w io.Writer, c cache.Stats) {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // fails only for a bad argument
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	_ = json.NewEncoder(w).Encode(usage{
		CPU:     time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		Mallocs: m.Mallocs, Bytes: m.TotalAlloc, Cache: c,
	})
}

// constantUser looks like the seeded users.
func constantUser() *databasev1.User {
	now := timestamppb.Now()
	return &databasev1.User{
		Id: "ee11cbb19052e40b07aac0ca060c23ee", Username: "player1000", Email: "player1000@example.com", Role: "user",
		Name: "Player 1000", DisplayUsername: "Player1000", EmailVerified: true,
		Image: "https://cdn.example.com/avatars/78805a221a988e79ef3f42d7c5bfd418.png", CreatedAt: now, UpdatedAt: now,
	}
}
