package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/osirose-new/database-service/shared/boot"
)

const (
	// A caller who sends or takes his bytes slowly holds a connection this long. A request itself has one second.
	readTimeout  = 5 * time.Second
	writeTimeout = 10 * time.Second
	// idleTimeout is longer than clients keep unused connections (Go's: 90 s), so that it is they who close them: a
	// server that does may meet a request on its way.
	idleTimeout    = 3 * time.Minute
	maxHeaderBytes = 64 << 10

	drainTimeout = 5 * time.Second
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
	if !boot.OnTerminal(os.Stderr) {
		log := boot.NewLogBuffer(os.Stderr)
		defer log.Close()
		c.LogTo = log
	}
	return withBackends(ctx, c, *data, func(c boot.Config, b *backends) error { return serve(ctx, c, b, *grace) })
}

// withBackends runs f on servers that live as long as it does.
func withBackends(ctx context.Context, c boot.Config, data string, f func(boot.Config, *backends) error) error {
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
func readConfig() (boot.Config, error) {
	c, err := boot.Read(os.Getenv)
	if err == nil {
		err = boot.CheckURLs(c)
	}
	if err != nil {
		return c, fmt.Errorf("wrong environment variables:\n%w", err)
	}
	return c, nil
}

// serve runs the services on b until ctx ends, or b does.
func serve(ctx context.Context, c boot.Config, b *backends, grace time.Duration) error {
	closeTraces, err := trace(&c, false)
	if err != nil {
		return err
	}
	defer closeTraces() // when the requests have ended
	p, err := boot.Open(c)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := b.ready(ctx, p); err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("LISTEN_ADDR and SERVICE_PORT: %w", err)
	}
	h := newHealth(p)
	server := newServer(p, h)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	announce(p, b, h)

	select {
	case <-ctx.Done():
	case <-b.postgresDone():
		err = errors.New("the embedded PostgreSQL has ended, and nobody asked it to")
	case err = <-failed:
	}
	h.draining.Store(true)
	if err == nil && grace > 0 {
		p.Log.Info("not ready any more", "grace", grace.String())
		time.Sleep(grace)
	}
	leave(l, h)
	drain(server, p.Log)
	return err
}

// announce says where it listens, once it does, and what somebody should know who runs it.
func announce(p *boot.Program, b *backends, h *health) {
	p.Log.Info("listening", "address", p.Config.Listen)
	g := greeting{url: baseURL(p.Config.Listen), database: p.DB.Address(), redis: redisAddress(p.Config.RedisURL), backends: b}
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

func newServer(p *boot.Program, h *health) *http.Server {
	return &http.Server{
		Handler:           h.sayGoodBye(routes(p, h)),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(p.Log.Handler(), slog.LevelDebug),
	}
}

// leave refuses newcomers, has each connection end with its next answer, and gives callers the time to ask for one. Were
// connections closed at once that have no request, one that is on its way would be lost, and its caller could not know
// whether it took effect.
func leave(l net.Listener, h *health) {
	h.leaving.Store(true)
	_ = l.Close() // fails where the server has closed it, for its own failure
	time.Sleep(farewell)
}

// drain lets the requests finish that are being served.
func drain(server *http.Server, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		log.Warn("requests were cut off", "after", drainTimeout.String())
		_ = server.Close() // what is left is of no use
	}
	log.Info("stopped")
}

// baseURL is where a client on this machine reaches listen.
func baseURL(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
