// Package boot turns the environment into what the services need. It dials nothing and reads nothing else, so that a
// cold start costs no more than that; and it names every wrong variable at once.
package boot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/rpcserver"
	"github.com/osirose-new/database-service/shared/sessiontoken"
)

// DefaultRedisURL is where Redis is looked for when REDIS_URL is not set.
const DefaultRedisURL = "redis://127.0.0.1:6379"

// Config is the environment, checked.
type Config struct {
	Listen      string // host:port
	Admin       string // host:port of what watches the program; empty: nothing listens
	TLS         TLS
	DatabaseURL string
	RedisURL    string
	CacheTTL    time.Duration
	Concurrency int // of a function: requests at once, and so connections to each server; 0: this is none
	LogLevel    slog.Level
	LogFormat   string    // "json", "text", or "" for text on a terminal
	LogTo       io.Writer // nil: stderr
	TracesTo    string    // URL of a collector; empty: there are to be no traces
	AWS         AWS
	Metrics     EmbeddedMetrics
	Sessions    Sessions
	Characters  Characters
	Telemetry   Telemetry
	Budgets     Budgets
}

// Budgets bound what a request waits for. The zero value of each means its default. No variable sets them.
type Budgets struct {
	Request  time.Duration // default rpcserver.Budget
	Database postgres.Budgets
	Redis    cache.Budgets
}

// TLS names the files of the port's certificate, PEM. Empty: the port speaks plain text.
type TLS struct{ CertFile, KeyFile string }

// AWS says which logins come from there. Zero: none.
type AWS struct {
	DatabaseSecretARN  string
	DatabaseIAM        bool
	RedisIAMCache      string // a replication group, or a serverless cache
	RedisIAMServerless bool
}

// Sessions has the fields of sessions.Config, so that one converts to the other. Zero: the service's own default.
type Sessions struct {
	Verifier        sessiontoken.Verifier
	RefuseSessionID bool
	Window, Cap     time.Duration
}

// Characters has the fields of characters.Config. Zero: the service's own default.
type Characters struct {
	Slots            int
	DeleteDelay      time.Duration
	NameMin, NameMax int
	NamesReserved    []string
}

// Program is what the mains hand to the services.
type Program struct {
	Config Config
	DB     *postgres.DB
	Redis  redis.UniversalClient
	Cache  *cache.Cache
	Log    *slog.Logger
	edge   *rpcserver.Server
}

// Read checks the environment, which getenv returns. The error names every variable that is wrong, and no value.
func Read(getenv func(string) string) (Config, error) {
	e := env{get: getenv}
	host, port := e.text("LISTEN_ADDR", "0.0.0.0"), e.number("SERVICE_PORT", 50052, 1, 65535)
	if strings.Contains(host, ":") && net.ParseIP(host) == nil {
		e.wrong("LISTEN_ADDR", "is not a host alone; the port is SERVICE_PORT")
	}
	c := Config{
		Listen:      net.JoinHostPort(host, strconv.Itoa(port)),
		Admin:       e.address("ADMIN_ADDR", "127.0.0.1:50053"),
		DatabaseURL: e.text("DATABASE_URL", ""),
		RedisURL:    e.text("REDIS_URL", DefaultRedisURL),
		CacheTTL:    e.seconds("CACHE_TTL", cache.DefaultTTL, time.Second, 24*time.Hour),
		LogFormat:   e.oneOf("LOG_FORMAT", "", "json", "text"),
	}
	if c.TLS = (TLS{e.text("TLS_CERT_FILE", ""), e.text("TLS_KEY_FILE", "")}); (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		e.wrong("TLS_CERT_FILE", "and TLS_KEY_FILE go together")
	}
	c.AWS = e.aws(c)
	c.Metrics = e.embeddedMetrics()
	c.TracesTo = e.traces()
	if c.AWS.DatabaseSecretARN != "" && c.DatabaseURL == "" {
		c.DatabaseURL = "postgres://" // the secret says the rest
	}
	c.Sessions.Verifier = sessiontoken.NewVerifier(e.text("BETTER_AUTH_SECRET", ""))
	if err := c.LogLevel.UnmarshalText([]byte(e.text("LOG_LEVEL", "info"))); err != nil {
		e.wrong("LOG_LEVEL", "is not debug, info, warn or error")
	}
	c.Sessions.RefuseSessionID = e.oneOf("SESSION_ID_LOOKUP", "accept", "refuse") == "refuse"
	c.Sessions.Window = e.seconds("SESSION_WINDOW", 0, time.Minute, 365*24*time.Hour)
	c.Sessions.Cap = e.seconds("SESSION_CAP", 0, time.Minute, 365*24*time.Hour)
	c.Characters.Slots = e.number("CHARACTER_SLOTS", 0, 1, 32)
	c.Characters.DeleteDelay = e.seconds("CHARACTER_DELETE_DELAY", 0, time.Second, 365*24*time.Hour)
	c.Characters.NameMin = e.number("CHARACTER_NAME_MIN", 0, 4, 20)
	c.Characters.NameMax = e.number("CHARACTER_NAME_MAX", 0, 4, 20)
	if least, most := c.Characters.NameMin, c.Characters.NameMax; least > 0 && most > 0 && least > most {
		e.wrong("CHARACTER_NAME_MIN", "is more than CHARACTER_NAME_MAX")
	}
	c.Characters.NamesReserved = strings.FieldsFunc(e.text("CHARACTER_NAMES_RESERVED", ""), func(r rune) bool { return r == ',' || r == ' ' })
	if len(e.errs) > 0 {
		e.errs = append(e.errs, CheckURLs(c)) // for nobody will call Open, which names them
	}
	return c, errors.Join(e.errs...)
}

// CheckURLs says what is wrong with the URLs of c. It opens and closes: nothing is dialed.
func CheckURLs(c Config) error {
	if c.DatabaseURL == "" {
		c.DatabaseURL = "postgres://" // local embeds one then
	}
	p, err := Open(c)
	if err == nil {
		p.Close()
	}
	return err
}

// Open makes what the services need from c. It dials on first use.
func Open(c Config) (*Program, error) {
	var errs []error
	dbOptions := postgres.Options{MaxConns: c.Concurrency, Observe: c.Telemetry.Statement, Tracer: c.Telemetry.Queries, Budgets: c.Budgets.Database}
	redisOptions := cache.ConnectOptions{Concurrency: c.Concurrency, Observe: c.Telemetry.Redis, Budgets: c.Budgets.Redis}
	if err := logins(c.AWS, &dbOptions, &redisOptions); err != nil {
		errs = append(errs, err)
	}
	db, err := postgres.Open(c.DatabaseURL, dbOptions)
	switch {
	case c.DatabaseURL == "":
		errs = append(errs, errors.New("DATABASE_URL is required"))
	case err != nil:
		errs = append(errs, fmt.Errorf("DATABASE_URL %w", err))
	}
	client, err := cache.Connect(c.RedisURL, redisOptions)
	if err != nil {
		errs = append(errs, fmt.Errorf("REDIS_URL %w", err))
	}
	if err := errors.Join(errs...); err != nil {
		if db != nil {
			db.Close()
		}
		if client != nil {
			_ = client.Close()
		}
		return nil, err
	}
	log := Logger(c)
	redis.SetLogger(redisLogger{log})
	traced := c.Telemetry.TraceRedis != nil
	if traced {
		c.Telemetry.TraceRedis(client)
	}
	p := &Program{
		Config: c, DB: db, Redis: client, Log: log, edge: newEdge(c, log),
		Cache: cache.New(client, db, cache.Options{TTL: c.CacheTTL, Traced: traced, Budgets: c.Budgets.Redis}),
	}
	if c.Telemetry.Started != nil {
		c.Telemetry.Started(p)
	}
	return p, nil
}

// Edge is the one edge of the program's services, with what watches the requests.
func (p *Program) Edge() *rpcserver.Server { return p.edge }

func newEdge(c Config, log *slog.Logger) *rpcserver.Server {
	edge, t := rpcserver.New(log), c.Telemetry
	edge.SetBudget(cmp.Or(c.Budgets.Request, rpcserver.Budget))
	if t.Requests != nil {
		edge.Observe(t.Requests)
	}
	if t.Tracer != nil {
		edge.Trace(t.Tracer)
	}
	return edge
}

// redisLogger takes what go-redis logs on its own. The arguments of its messages hold addresses and are left out.
type redisLogger struct{ log *slog.Logger }

func (l redisLogger) Printf(ctx context.Context, format string, _ ...any) {
	l.log.DebugContext(ctx, "go-redis", "message", format)
}

// Close closes the connections.
func (p *Program) Close() {
	p.DB.Close()
	_ = p.Redis.Close() // nothing is buffered
}

// Logger logs as c says: JSON, or text for a person at a terminal.
func Logger(c Config) *slog.Logger {
	w := c.LogTo
	if w == nil {
		w = os.Stderr
	}
	o := &slog.HandlerOptions{Level: c.LogLevel}
	if c.Concurrency > 0 {
		o.ReplaceAttr = lambdaTime
	}
	if c.LogFormat == "text" || c.LogFormat == "" && OnTerminal(w) {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

// lambdaTime names the time as Lambda wants it, which takes a line without it for one of the level INFO.
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
func lambdaTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		a.Key = "timestamp"
	}
	return a
}

// OnTerminal reports whether a person reads w.
func OnTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
