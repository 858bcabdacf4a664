// Package config reads the environment into a Config. It makes no connections, and reads no files except those that NAME_FILE
// names, so that a cold start is fast. An error names all wrong variables, but no values, because some values are secrets.
package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/connurl"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/sessiontoken"
)

// DefaultRedisURL is the Redis of a program whose REDIS_URL is not set.
const DefaultRedisURL = "redis://127.0.0.1:6379"

// RedisOff is the REDIS_URL of a program without a cache.
const RedisOff = "off"

// Config is the environment, checked.
type Config struct {
	Listen      string // host:port of the services
	Admin       string // host:port for health and metrics; empty: no listener
	UserURL     string // of the web application's page about a user, with {user_id} in it; empty: there is none
	TLS         TLS
	Callers     Callers
	DatabaseURL string
	Schema      postgres.Schema // of the service, in the database
	RedisURL    string
	RedisPrefix string // of every key
	CacheTTL    time.Duration
	CacheMemory uint64 // bytes that local may keep of users; 0: none
	LogLevel    slog.Level
	LogFormat   string // "json", "text", or "" for text on a terminal
	TracesTo    string // URL of a collector; empty: no traces
	AWS         AWS
	Metrics     EmbeddedMetrics
	Sessions    Sessions
	Characters  Characters
}

// TLS names the PEM files of the port's certificate. Empty: the port speaks plain text.
type TLS struct{ CertFile, KeyFile string }

// Callers says how callers prove who they are. Zero: any caller has all rights.
type Callers struct {
	File         string // names the callers, their credentials and their roles
	ClientCAFile string // PEM of the authorities of client certificates
	Issuer       string // of workloads' tokens
	Audience     string // that a token must name
	Required     bool   // refuse an event without an IAM identity
	Plaintext    bool   // accept keys and tokens over plain text from other machines
}

// AWS says which logins come from AWS. Zero: none.
type AWS struct {
	DatabaseSecretARN  string
	DatabaseIAM        bool
	RedisIAMCache      string // a replication group, or a serverless cache
	RedisIAMServerless bool
}

// EmbeddedMetrics says whether the invocations of functions write metrics for CloudWatch.
type EmbeddedMetrics struct {
	On      bool
	Stage   string // names the deployment; empty: there is only one
	Version string // of the function, set by Lambda
}

// Sessions has the fields of sessions.Config, so that one converts to the other. Zero: the service's default.
type Sessions struct {
	Verifier        sessiontoken.Verifier
	RefuseSessionID bool
	Window, Cap     time.Duration
}

// Characters has the fields of characters.Config. Zero: the service's default.
type Characters struct {
	Slots            int
	DeleteDelay      time.Duration
	NameMin, NameMax int
	NamesReserved    []string
}

// Read checks the environment that getenv returns. It ignores spaces and line breaks around a value. It checks the URLs only if another variable is wrong: otherwise
// app.Open checks them, and a cold start parses them once.
func Read(getenv func(string) string) (Config, error) {
	e := env{get: getenv}
	c := Config{
		Listen:      e.listen(),
		Admin:       e.address("ADMIN_ADDR", "127.0.0.1:50053"),
		UserURL:     e.userURL(),
		TLS:         e.tls(),
		Callers:     e.callers(),
		DatabaseURL: strings.TrimSpace(e.secret("DATABASE_URL")),
		Schema:      e.schema(),
		RedisURL:    cmp.Or(strings.TrimSpace(e.secret("REDIS_URL")), DefaultRedisURL),
		RedisPrefix: e.redisPrefix(),
		CacheTTL:    e.seconds("CACHE_TTL", cache.DefaultTTL, time.Second, 24*time.Hour),
		CacheMemory: e.bytes("CACHE_MEMORY", 64<<20, 1<<20),
		LogLevel:    e.logLevel(),
		LogFormat:   e.oneOf("LOG_FORMAT", "", "json", "text"),
		TracesTo:    e.traces(),
		Metrics:     e.embeddedMetrics(),
		Sessions:    e.sessions(),
		Characters:  e.characters(),
	}
	c.AWS = e.aws(c)
	if c.AWS.DatabaseSecretARN != "" && c.DatabaseURL == "" {
		c.DatabaseURL = "postgres://" // the secret holds the rest
	}
	if len(e.errs) > 0 {
		e.errs = append(e.errs, c.CheckURLs())
	}
	return c, errors.Join(e.errs...)
}

// CheckURLs returns an error that names the wrong URLs. It makes no connections. An empty DatabaseURL is not wrong,
// because local embeds a server.
func (c Config) CheckURLs() error {
	var errs []error
	if c.DatabaseURL != "" {
		if err := postgres.CheckURL(c.DatabaseURL, c.AWS.DatabaseSecretARN != "" || c.AWS.DatabaseIAM, c.AWS.DatabaseIAM); err != nil {
			errs = append(errs, fmt.Errorf("DATABASE_URL %w", err))
		}
	}
	if c.RedisURL == RedisOff {
		return errors.Join(errs...)
	}
	if err := checkRedisURL(c.RedisURL, c.AWS.RedisIAMCache != ""); err != nil {
		errs = append(errs, fmt.Errorf("REDIS_URL %w", err))
	}
	return errors.Join(errs...)
}

// checkRedisURL makes a client, which connects only on first use, and closes it.
func checkRedisURL(url string, iam bool) error {
	var o cache.ConnectOptions
	if iam {
		o.Password = func(context.Context, string) (string, error) { return "", nil }
	}
	client, err := cache.Connect(url, o)
	if err == nil {
		_ = client.Close() // it has no connection
	}
	return err
}

func (e *env) schema() postgres.Schema {
	s := postgres.Schema(e.text("DATABASE_SCHEMA", ""))
	if err := s.Check(); err != nil {
		e.wrong("DATABASE_SCHEMA", err.Error())
	}
	return s
}

// redisPrefix refuses braces, which would choose the slot of a key in a cluster, and what glob patterns or logs may twist.
func (e *env) redisPrefix() string {
	p := e.text("REDIS_KEY_PREFIX", "")
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/"
	if len(p) > 64 || strings.Trim(p, letters) != "" {
		e.wrong("REDIS_KEY_PREFIX", "is not a prefix: up to 64 letters, digits and _-.:/")
	}
	return p
}

func (e *env) listen() string {
	host, port := e.text("LISTEN_ADDR", "0.0.0.0"), e.number("SERVICE_PORT", 50052, 1, 65535)
	if _, err := netip.ParseAddr(host); err != nil && (strings.Contains(host, ":") || connurl.CheckHost(host) != nil) {
		e.wrong("LISTEN_ADDR", "is not a host alone, such as 0.0.0.0 or ::1; the port is SERVICE_PORT")
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// userURL refuses what a browser would run instead of open.
func (e *env) userURL() string {
	v := e.text("USER_ADMIN_URL", "")
	scheme, rest, _ := strings.Cut(v, "://")
	host := strings.IndexAny(rest, "/?#") // its end
	if v != "" && (scheme != "https" && scheme != "http" || host < 1 || strings.Contains(rest[:host], "{") || !strings.Contains(rest, "{user_id}")) {
		e.wrong("USER_ADMIN_URL", "is not http:// or https:// with {user_id} after the host, for example https://game.example/admin/users/{user_id}")
	}
	return v
}

func (e *env) tls() TLS {
	t := TLS{CertFile: e.text("TLS_CERT_FILE", ""), KeyFile: e.text("TLS_KEY_FILE", "")}
	if (t.CertFile == "") != (t.KeyFile == "") {
		e.wrong("TLS_CERT_FILE", "and TLS_KEY_FILE must be set together")
	}
	return t
}

func (e *env) logLevel() (level slog.Level) {
	if err := level.UnmarshalText([]byte(e.text("LOG_LEVEL", "info"))); err != nil {
		e.wrong("LOG_LEVEL", "is not debug, info, warn or error")
	}
	return level
}

func (e *env) embeddedMetrics() EmbeddedMetrics {
	m := EmbeddedMetrics{
		On:      e.oneOf("EMBEDDED_METRICS", "false", "true") == "true",
		Stage:   e.text("METRICS_STAGE", ""),
		Version: e.text("AWS_LAMBDA_FUNCTION_VERSION", ""),
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
	if len(m.Stage) > 64 || strings.Trim(m.Stage, letters) != "" {
		e.wrong("METRICS_STAGE", "is not a name: up to 64 letters, digits, _ and -")
	}
	return m
}

func (e *env) sessions() Sessions {
	return Sessions{
		Verifier:        sessiontoken.NewVerifier(e.authSecrets()...),
		RefuseSessionID: e.oneOf("SESSION_ID_LOOKUP", "accept", "refuse") == "refuse",
		Window:          e.seconds("SESSION_WINDOW", 0, time.Minute, 365*24*time.Hour),
		Cap:             e.seconds("SESSION_CAP", 0, time.Minute, 365*24*time.Hour),
	}
}

func (e *env) characters() Characters {
	c := Characters{
		Slots:       e.number("CHARACTER_SLOTS", 0, 1, 32),
		DeleteDelay: e.seconds("CHARACTER_DELETE_DELAY", 0, time.Second, 365*24*time.Hour),
		NameMin:     e.number("CHARACTER_NAME_MIN", 0, 4, 20),
		NameMax:     e.number("CHARACTER_NAME_MAX", 0, 4, 20),
	}
	if c.NameMin > 0 && c.NameMax > 0 && c.NameMin > c.NameMax {
		e.wrong("CHARACTER_NAME_MIN", "is more than CHARACTER_NAME_MAX")
	}
	c.NamesReserved = strings.FieldsFunc(e.text("CHARACTER_NAMES_RESERVED", ""), func(r rune) bool { return r == ',' || r == ' ' })
	return c
}
