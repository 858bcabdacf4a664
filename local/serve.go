package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc/grpclog"

	"github.com/osirose-new/database-service/local/connlimit"
	"github.com/osirose-new/database-service/local/connmux"
	"github.com/osirose-new/database-service/local/grpcserver"
	"github.com/osirose-new/database-service/local/metrics"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/cache/memory"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/services"
)

const (
	shutdownTimeout = 5 * time.Second
	// farewell is how long callers can send one more request on an open connection.
	farewell = 250 * time.Millisecond
)

// runServe serves until ctx ends.
func runServe(ctx context.Context, args []string, b app.Budgets) error {
	f := flag.NewFlagSet("local", flag.ContinueOnError)
	data := f.String("data", "", "")
	grace := f.Duration("grace", 0, "")
	if err := parse(f, args, usage); err != nil {
		return err
	}
	c, err := readConfig()
	if err != nil {
		return err
	}
	tuneCollector()
	c.Budgets, c.Memory = b, store(c.CacheMemory)
	if err := prepareCallers(&c); err != nil {
		return err
	}
	if *data != "" && c.DatabaseURL != "" {
		return fmt.Errorf("-data is for the embedded PostgreSQL, but DATABASE_URL names another server: %w", errUsage)
	}
	if c.DatabaseURL == "" { // demo data, for a developer
		listenHere(&c)
	}
	if !app.OnTerminal(os.Stderr) {
		log := app.NewLogBuffer(os.Stderr)
		defer log.Close()
		c.LogTo = log
	}
	return withBackends(ctx, c, *data, func(c app.Options, b *backends) error { return serve(ctx, c, b, *grace) })
}

// store keeps users in the process, if it may take memory.
func store(bytes uint64) cache.Store {
	if bytes == 0 {
		return nil
	}
	return memory.New(bytes)
}

// listenHere makes the port listen on this machine's own address only, unless LISTEN_ADDR says otherwise.
func listenHere(c *app.Options) {
	if _, port, err := net.SplitHostPort(c.Listen); err == nil && strings.TrimSpace(os.Getenv("LISTEN_ADDR")) == "" {
		c.Listen = net.JoinHostPort("127.0.0.1", port)
	}
}

// withBackends starts the servers, runs f, and stops them.
func withBackends(ctx context.Context, c app.Options, data string, f func(app.Options, *backends) error) error {
	b, err := startBackends(ctx, &c, data)
	if err == nil {
		err = f(c, b)
	}
	if stopErr := b.stop(); stopErr != nil {
		err = errors.Join(err, fmt.Errorf("stop the embedded servers: %w", stopErr))
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // a signal came during the start
	}
	return err
}

// readConfig reads the environment. Its error names every wrong variable, including the URLs, before anything is started.
func readConfig() (app.Options, error) {
	c, err := config.Read(os.Getenv)
	if err == nil {
		err = c.CheckURLs()
	}
	if err != nil {
		return app.Options{}, fmt.Errorf("wrong environment variables:\n%w", err)
	}
	return app.Options{Config: c}, nil
}

// serve runs the services on b until ctx ends or the embedded PostgreSQL ends.
func serve(ctx context.Context, c app.Options, b *backends, grace time.Duration) error {
	m := metrics.New(revision)
	if c.Admin != "" {
		m.Watch(&c.Telemetry)
	}
	closeTraces, err := trace(&c, false)
	if err != nil {
		return err
	}
	defer closeTraces() // after the requests have ended
	p, err := app.Open(c)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := b.ready(ctx, p); err != nil {
		return err
	}
	h := newHealth(p)
	all := services.New(p)
	a, err := startAdmin(p, m, h, all.Handler(p.Edge()), b.postgres != nil)
	if err != nil {
		return err
	}
	defer a.stop()
	s, err := listen(p, all, h, a.url, b.postgres != nil)
	if err != nil {
		return err
	}
	s.watch(p, m, ctx.Done())
	failed := s.serve()
	announce(p, b, h, a.url)
	if p.Callers.Any() && b.postgres == nil {
		every := time.NewTicker(remindEvery)
		defer every.Stop()
		go remind(p.Log, every.C, ctx.Done())
	}
	if err = untilEnd(ctx, b, failed); err != nil {
		grace = 0
	}
	s.shutdown(h, grace, p.Log)
	return err
}

// untilEnd waits for a signal, or for the failure of a part of the program.
func untilEnd(ctx context.Context, b *backends, failed <-chan error) error {
	select {
	case <-ctx.Done():
		return nil
	case <-b.postgresDone():
		return errors.New("the embedded PostgreSQL has ended unexpectedly")
	case err := <-failed:
		return err
	}
}

// server is the port and the two servers on it.
type server struct {
	connections *connlimit.Listener
	answers     *unsent
	port        *connmux.Port
	http        *http.Server
	grpc        *grpcserver.Server
}

// listen opens the port. Twirp and gRPC share the services and their edge. demo means that a developer's browser must not be able to
// call it; a browser cannot call gRPC.
func listen(p *app.Program, all services.Services, h *health, admin string, demo bool) (*server, error) {
	var secure *tls.Config
	if files := p.Config.TLS; files.CertFile != "" {
		var err error
		if secure, err = connmux.TLS(files.CertFile, files.KeyFile); err != nil {
			return nil, fmt.Errorf("TLS_CERT_FILE and TLS_KEY_FILE: %w", err)
		}
	}
	l, err := net.Listen("tcp", p.Config.Listen)
	if err != nil {
		return nil, fmt.Errorf("LISTEN_ADDR and SERVICE_PORT: %w", err)
	}
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard)) // its messages contain addresses and callers' data
	edge := p.Edge()
	twirp := routes(edge, all, h, frontPage(admin))
	if demo {
		twirp = refusePages(twirp)
	}
	limited, answers := connlimit.New(l), &unsent{max: maxUnsent}
	edge.Sending(answers.begin)
	return &server{
		connections: limited,
		answers:     answers,

		port: connmux.Split(limited, secure),
		http: serveHTTP2(newServer(p, closeChunked(h.closeWhileLeaving(refuseGRPC(twirp))))),
		grpc: grpcserver.New(edge, func() bool { return h.report().Ready }, grpcserver.All(all.Users, all.Characters, all.Sessions, all.Staff)...),
	}, nil
}

// routes returns the handlers of the port that are not gRPC's. Health checks and the front page are neither limited nor logged. Calls pass
// by the ServeMux, which would cost each of them three allocations.
func routes(edge *rpcserver.Server, s services.Services, h *health, front http.Handler) http.Handler {
	calls, others := s.Handler(edge, grpcserver.Urgent...), http.NewServeMux()
	others.Handle("GET /{$}", front)
	others.Handle("/", calls) // an unknown path gets an error of Twirp
	others.HandleFunc("GET /healthz", h.serveAlive)
	others.HandleFunc("GET /readyz", h.serveReady)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/twirp/") {
			calls.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

// serve returns at once. The channel gets an error when one of the two servers ends.
func (s *server) serve() <-chan error {
	failed := make(chan error, 2)
	go func() { failed <- s.http.Serve(s.port.HTTP()) }()
	go func() { failed <- s.grpc.Serve(s.port.GRPC()) }()
	return failed
}

// announce logs and prints the address, and what the operator should know about the database.
func announce(p *app.Program, b *backends, h *health, admin string) {
	p.Log.Info("listening", "address", p.Config.Listen)
	g := greeting{url: baseURL(p.Config), admin: admin, database: p.DB.Address(), redis: redisAddress(p.Config.RedisURL), backends: b, keyed: !p.Callers.Any()}
	switch r := h.report(); {
	case r.Schema != "ok":
		g.note = "The database does not fit: " + r.Schema + "."
	case r.Warning != "":
		g.note = r.Warning + "."
	case !r.userTrigger:
		g.note = "Changes of users are not logged in this database: users are cached for 10 s."
		p.Log.Info("users are cached for 10 s: their changes are not logged in this database")
	}
	g.print(os.Stdout)
}

// shutdown reports that the server is not ready, serves for grace, and then lets running requests finish.
func (s *server) shutdown(h *health, grace time.Duration, log *slog.Logger) {
	h.draining.Store(true)
	s.grpc.NotServing()
	if grace > 0 {
		log.Info("not ready", "grace", grace.String())
		time.Sleep(grace)
	}
	s.leave(h)
	drain(s.http, s.grpc, log)
}

// leave refuses new connections, closes each HTTP/1 connection after its next answer, and gives callers time for one more
// request. If it closed idle connections at once, a request under way would be lost, and its caller could not know whether
// it took effect. (HTTP/2 tells callers during a drain which requests were not started.)
func (s *server) leave(h *health) {
	h.leaving.Store(true)
	_ = s.port.Close() // fails if a failure has closed it
	time.Sleep(farewell)
}

// drain lets running requests finish. rpc is nil if the program has no gRPC.
func drain(server *http.Server, rpc *grpcserver.Server, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	rest := make(chan bool, 1)
	go func() { rest <- rpc == nil || rpc.Shutdown(ctx) }()
	err := server.Shutdown(ctx)
	if done := <-rest; err != nil || !done {
		log.Warn("requests were cut off", "after", shutdownTimeout.String())
		_ = server.Close() // close the remaining connections
	}
	log.Info("stopped")
}

// baseURL returns the URL of the port for a client on this machine.
func baseURL(c config.Config) string {
	host, port, err := net.SplitHostPort(c.Listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	scheme := "http"
	if c.TLS.CertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
