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
	"time"

	"google.golang.org/grpc/grpclog"

	"github.com/osirose-new/database-service/local/connmux"
	"github.com/osirose-new/database-service/local/grpcserver"
	"github.com/osirose-new/database-service/local/metrics"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/config"
)

const (
	// A caller who sends or takes his bytes slowly holds a connection this long. A request itself has one second.
	readTimeout  = 5 * time.Second
	writeTimeout = 10 * time.Second
	// idleTimeout is longer than clients keep unused connections (Go's: 90 s), so that it is they who close them: a
	// server that does may meet a request on its way.
	idleTimeout    = 3 * time.Minute
	maxHeaderBytes = 64 << 10

	syncTimeout = 5 * time.Second
	// farewell is how long callers have to send one more request on a connection that they keep.
	farewell = 250 * time.Millisecond
)

// runServe serves until ctx ends.
func runServe(ctx context.Context, args []string) error {
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
	if *data != "" && c.DatabaseURL != "" {
		return fmt.Errorf("-data is for the embedded PostgreSQL, and DATABASE_URL names another: %w", errUsage)
	}
	if !app.OnTerminal(os.Stderr) {
		log := app.NewLogBuffer(os.Stderr)
		defer log.Close()
		c.LogTo = log
	}
	return withBackends(ctx, c, *data, func(c app.Options, b *backends) error { return serve(ctx, c, b, *grace) })
}

// withBackends runs f on servers that live as long as it does.
func withBackends(ctx context.Context, c app.Options, data string, f func(app.Options, *backends) error) error {
	b, err := startBackends(ctx, &c, data)
	if err == nil {
		err = f(c, b)
	}
	if stopErr := b.stop(); stopErr != nil {
		err = errors.Join(err, fmt.Errorf("stop what was embedded: %w", stopErr))
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // a signal came while it was starting
	}
	return err
}

// readConfig reads the environment and names everything that is wrong with it, the URLs included, before anything is
// started.
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

// serve runs the services on b until ctx ends, or b does.
func serve(ctx context.Context, c app.Options, b *backends, grace time.Duration) error {
	m := metrics.New(revision)
	if c.Admin != "" {
		m.Watch(&c.Telemetry)
	}
	closeTraces, err := trace(&c, false)
	if err != nil {
		return err
	}
	defer closeTraces() // when the requests have ended
	p, err := app.Open(c)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := b.ready(ctx, p); err != nil {
		return err
	}
	h := newHealth(p)
	a, err := startAdmin(p, m, h)
	if err != nil {
		return err
	}
	defer a.stop()
	s, err := listen(p, h)
	if err != nil {
		return err
	}
	failed := s.serve()
	announce(p, b, h)

	err = untilEnd(ctx, b, failed)
	h.draining.Store(true)
	s.grpc.NotServing()
	if err == nil && grace > 0 {
		p.Log.Info("not ready any more", "grace", grace.String())
		time.Sleep(grace)
	}
	s.leave(h)
	drain(s.http, s.grpc, p.Log)
	return err
}

// untilEnd waits for a signal, or for what must not end.
func untilEnd(ctx context.Context, b *backends, failed <-chan error) error {
	select {
	case <-ctx.Done():
		return nil
	case <-b.postgresDone():
		return errors.New("the embedded PostgreSQL has ended, and nobody asked it to")
	case err := <-failed:
		return err
	}
}

// server is the port with what serves it.
type server struct {
	port *connmux.Port
	http *http.Server
	grpc *grpcserver.Server
}

// listen opens the port. Twirp and gRPC share the services and their edge.
func listen(p *app.Program, h *health) (*server, error) {
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
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard)) // its messages hold addresses and what callers sent
	edge, all := p.Edge(), newServices(p)
	return &server{
		port: connmux.Split(l, secure),
		http: newServer(p, h.sayGoodBye(routes(edge, all, h))),
		grpc: grpcserver.New(edge, func() bool { return h.report().Ready }, all.grpc()...),
	}, nil
}

// serve returns at once. The channel gets the error of the first of both that ends.
func (s *server) serve() <-chan error {
	failed := make(chan error, 2)
	go func() { failed <- s.http.Serve(s.port.HTTP()) }()
	go func() { failed <- s.grpc.Serve(s.port.GRPC()) }()
	return failed
}

// announce says where it listens, once it does, and what somebody should know who runs it.
func announce(p *app.Program, b *backends, h *health) {
	p.Log.Info("listening", "address", p.Config.Listen)
	g := greeting{url: baseURL(p.Config), database: p.DB.Address(), redis: redisAddress(p.Config.RedisURL), backends: b}
	if p.Config.Admin != "" {
		g.admin = baseURL(config.Config{Listen: p.Config.Admin})
	}
	switch r := h.report(); {
	case r.Schema != "ok":
		g.note = "The database does not fit: " + r.Schema + " (local migrate)."
		p.Log.Warn("the database does not fit", "schema", r.Schema)
	case !r.userTrigger:
		g.note = "Changes of users are not logged in this database: users are cached for 10 s."
		p.Log.Info("users are cached for 10 s: their changes are not logged in this database")
	}
	g.print(os.Stdout)
}

func newServer(p *app.Program, handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(p.Log.Handler(), slog.LevelDebug),
	}
}

// leave refuses newcomers, has each connection of HTTP/1 end with its next answer, and gives callers the time to ask for
// one. Were connections closed at once that have no request, one that is on its way would be lost, and its caller could not
// know whether it took effect. (HTTP/2 tells callers, when it drains, which requests were not begun.)
func (s *server) leave(h *health) {
	h.leaving.Store(true)
	_ = s.port.Close() // fails where it was closed by a failure
	time.Sleep(farewell)
}

// drain lets the requests finish that are being served. Where there is no gRPC, protocol is nil.
func drain(server *http.Server, protocol *grpcserver.Server, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), syncTimeout)
	defer cancel()
	rest := make(chan bool, 1)
	go func() { rest <- protocol == nil || protocol.Shutdown(ctx) }()
	err := server.Shutdown(ctx)
	if done := <-rest; err != nil || !done {
		log.Warn("requests were cut off", "after", syncTimeout.String())
		_ = server.Close() // what is left is of no use
	}
	log.Info("stopped")
}

// baseURL is where a client on this machine reaches the port.
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
