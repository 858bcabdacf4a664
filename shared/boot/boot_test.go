package boot_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/osirose-new/database-service/shared/boot"
	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/testenv"
)

// environment is what Read gets to see.
func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

// names are the variables that an error names, one a line.
func names(err error) []string {
	var all []string
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			name, _, _ := strings.Cut(line, " ")
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func TestRead(t *testing.T) {
	t.Parallel()
	defaults := boot.Config{
		Listen: "0.0.0.0:50052", Admin: "127.0.0.1:50053", RedisURL: boot.DefaultRedisURL, CacheTTL: cache.DefaultTTL, LogLevel: slog.LevelInfo,
	}
	for what, test := range map[string]struct {
		environment map[string]string
		want        boot.Config
	}{
		"nothing is set": {nil, defaults},
		"everything is set": {
			map[string]string{
				"LISTEN_ADDR": "127.0.0.1", "SERVICE_PORT": "1", "ADMIN_ADDR": "0.0.0.0:2", "DATABASE_URL": "postgres://db", "REDIS_URL": "rediss://cache?cluster=true",
				"CACHE_TTL": "90", "LOG_LEVEL": "debug", "LOG_FORMAT": "text", "BETTER_AUTH_SECRET": "secret",
				"SESSION_ID_LOOKUP": "refuse", "SESSION_WINDOW": "30m", "SESSION_CAP": "48h", "CHARACTER_SLOTS": "32",
				"CHARACTER_DELETE_DELAY": "1h30m", "CHARACTER_NAME_MIN": "5", "CHARACTER_NAME_MAX": "5",
				"CHARACTER_NAMES_RESERVED": "guild, council,,king", "DATABASE_IAM_AUTH": "true", "REDIS_IAM_CACHE": "game-1",
				"REDIS_IAM_SERVERLESS": "true", "AWS_REGION": "eu-central-1", "EMBEDDED_METRICS": "true", "METRICS_STAGE": "live",
				"AWS_LAMBDA_FUNCTION_VERSION": "7",
			},
			boot.Config{
				Listen: "127.0.0.1:1", Admin: "0.0.0.0:2", DatabaseURL: "postgres://db", RedisURL: "rediss://cache?cluster=true", CacheTTL: 90 * time.Second,
				LogLevel: slog.LevelDebug, LogFormat: "text",
				AWS:      boot.AWS{DatabaseIAM: true, RedisIAMCache: "game-1", RedisIAMServerless: true},
				Metrics:  boot.EmbeddedMetrics{On: true, Stage: "live", Version: "7"},
				Sessions: boot.Sessions{RefuseSessionID: true, Window: 30 * time.Minute, Cap: 48 * time.Hour},
				Characters: boot.Characters{
					Slots: 32, DeleteDelay: 90 * time.Minute, NameMin: 5, NameMax: 5, NamesReserved: []string{"guild", "council", "king"},
				},
			},
		},
		"a secret says where the database is": {
			map[string]string{"DATABASE_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x"},
			func(c boot.Config) boot.Config {
				c.DatabaseURL, c.AWS.DatabaseSecretARN = "postgres://", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x"
				return c
			}(defaults),
		},
		"an IPv6 address":  {map[string]string{"LISTEN_ADDR": "::1"}, func(c boot.Config) boot.Config { c.Listen = "[::1]:50052"; return c }(defaults)},
		"no admin address": {map[string]string{"ADMIN_ADDR": "off"}, func(c boot.Config) boot.Config { c.Admin = ""; return c }(defaults)},
		"a host's name":    {map[string]string{"LISTEN_ADDR": "localhost"}, func(c boot.Config) boot.Config { c.Listen = "localhost:50052"; return c }(defaults)},
	} {
		got, err := boot.Read(environment(test.environment))
		if err != nil {
			t.Errorf("%s: Read: %v", what, err)
		}
		if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(boot.Sessions{}, "Verifier")); diff != "" {
			t.Errorf("%s: Read (-want +got):\n%s", what, diff)
		}
		secret := test.environment["BETTER_AUTH_SECRET"]
		if _, unread := got.Sessions.Verifier.Token("token.x"); unread != (secret == "") {
			t.Errorf("%s: a wrong signature is accepted: %t", what, unread)
		}
	}
}

func TestReadWrong(t *testing.T) {
	t.Parallel()

	t.Run("each value", func(t *testing.T) {
		t.Parallel()
		for name, values := range map[string][]string{
			"LISTEN_ADDR":            {"0.0.0.0:50052", ":50052", "[::1]"},
			"ADMIN_ADDR":             {"50053", "localhost", "localhost:", "localhost:0", "localhost:http", "::1:50053", "OFF", "h:65536"},
			"SERVICE_PORT":           {"0", "65536", "-1", "http", "5e4", "99999999999999999999"},
			"CACHE_TTL":              {"0", "-5", "0.5", "25h", "soon", "99999999999999999999", "10000000000000", "5x"},
			"LOG_LEVEL":              {"loud", "5"},
			"LOG_FORMAT":             {"xml", "JSON"},
			"EMBEDDED_METRICS":       {"yes", "1", "TRUE"},
			"METRICS_STAGE":          {"a b", "a\"", "ä", strings.Repeat("x", 65)},
			"SESSION_ID_LOOKUP":      {"yes", "REFUSE"},
			"SESSION_WINDOW":         {"59", "-1h", "366d", "9000h"},
			"SESSION_CAP":            {"0", "1s", "x"},
			"CHARACTER_SLOTS":        {"0", "33", "five"},
			"CHARACTER_DELETE_DELAY": {"0", "0s", "9000h"},
			"CHARACTER_NAME_MIN":     {"3", "21"},
			"CHARACTER_NAME_MAX":     {"3", "21"},
		} {
			for _, value := range values {
				_, err := boot.Read(environment(map[string]string{name: value}))
				if diff := cmp.Diff([]string{name}, names(err)); diff != "" {
					t.Errorf("Read(%s=%s) = %v names (-want +got):\n%s", name, value, err, diff)
				}
			}
		}
	})

	t.Run("all at once, and no value", func(t *testing.T) {
		t.Parallel()
		const canary = "hunter2canary"
		wrong := map[string]string{
			"LISTEN_ADDR": canary + ":80", "DATABASE_URL": "postgres://user:" + canary + "@[", "REDIS_URL": "redis://:" + canary + "@[",
		}
		for _, name := range []string{
			"SERVICE_PORT", "ADMIN_ADDR", "CACHE_TTL", "LOG_LEVEL", "LOG_FORMAT", "SESSION_ID_LOOKUP", "SESSION_WINDOW", "SESSION_CAP",
			"CHARACTER_SLOTS", "CHARACTER_DELETE_DELAY", "CHARACTER_NAME_MIN", "CHARACTER_NAME_MAX",
		} {
			wrong[name] = canary
		}
		want := make([]string, 0, len(wrong))
		for name := range wrong {
			want = append(want, name)
		}
		slices.Sort(want)
		wrong["BETTER_AUTH_SECRET"] = canary // nothing is wrong with it
		_, err := boot.Read(environment(wrong))
		if diff := cmp.Diff(want, names(err)); diff != "" {
			t.Errorf("Read names (-want +got):\n%s", diff)
		}
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("Read = %v, which repeats a value", err)
		}
	})

	t.Run("no name is long enough and short enough", func(t *testing.T) {
		t.Parallel()
		_, err := boot.Read(environment(map[string]string{"CHARACTER_NAME_MIN": "9", "CHARACTER_NAME_MAX": "8"}))
		if diff := cmp.Diff([]string{"CHARACTER_NAME_MIN"}, names(err)); diff != "" {
			t.Errorf("Read names (-want +got):\n%s", diff)
		}
	})

	t.Run("no DATABASE_URL is not named: local starts a server of its own", func(t *testing.T) {
		t.Parallel()
		_, err := boot.Read(environment(map[string]string{"LOG_LEVEL": "loud"}))
		if diff := cmp.Diff([]string{"LOG_LEVEL"}, names(err)); diff != "" {
			t.Errorf("Read names (-want +got):\n%s", diff)
		}
	})
}

func TestOpen(t *testing.T) {
	t.Parallel()
	const canary = "hunter2canary"
	for what, test := range map[string]struct {
		database, redis string
		want            []string
	}{
		"no database":                    {"", "redis://cache", []string{"DATABASE_URL"}},
		"neither":                        {"", "http://" + canary, []string{"DATABASE_URL", "REDIS_URL"}},
		"broken addresses":               {"postgres://u:" + canary + "@[/x", "redis://:" + canary + "@h:port", []string{"DATABASE_URL", "REDIS_URL"}},
		"broken settings":                {"postgres://u:" + canary + "@h/x?pool_max_conns=" + canary, "redis://:" + canary + "@h?db=" + canary, []string{"DATABASE_URL", "REDIS_URL"}},
		"a file of keys that is missing": {"postgres://u:" + canary + "@h/x?sslmode=verify-full&sslrootcert=/" + canary, "redis://h", []string{"DATABASE_URL"}},
		"broken cluster":                 {"postgres://h/x", "redis://:" + canary + "@h?cluster=true&nonsense=" + canary, []string{"REDIS_URL"}},
		"neither server is there":        {"postgres://" + canary + ".invalid/x", "redis://" + canary + ".invalid", nil},
		"a cluster":                      {"host=" + canary + ".invalid dbname=x", "rediss://u:p@" + canary + ".invalid?cluster=true", nil},
	} {
		p, err := boot.Open(boot.Config{DatabaseURL: test.database, RedisURL: test.redis})
		if diff := cmp.Diff(test.want, names(err)); diff != "" {
			t.Errorf("%s: Open = %v names (-want +got):\n%s", what, err, diff)
		}
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%s: Open = %v, which repeats a value", what, err)
		}
		if err == nil {
			p.Close()
		}
	}
}

// TestOpenDialsNothing is about a cold start.
func TestOpenDialsNothing(t *testing.T) {
	t.Parallel()
	e := testenv.New(t, testenv.Variants[0], "miniredis")
	e.Open(t, func(c *boot.Config) { c.Concurrency = 1 }).Close() // which waits for a dial, had one begun
	if postgres, redis := e.PGProxy.Accepted(), e.RDProxy.Accepted(); postgres+redis > 0 {
		t.Errorf("%d connections to PostgreSQL and %d to Redis before the first request", postgres, redis)
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"", "json", "text"} {
		f, err := os.Create(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		log := boot.Logger(boot.Config{LogFormat: format, LogLevel: slog.LevelWarn, LogTo: f})
		log.Info("quiet")
		log.Warn("loud", "n", 1)
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := json.Valid(b), format != "text"; got != want {
			t.Errorf("format %q wrote %s: JSON is %t, want %t", format, b, got, want)
		}
		if got := string(b); strings.Contains(got, "quiet") || !strings.Contains(got, "loud") || strings.Count(got, "\n") != 1 {
			t.Errorf("format %q wrote %s, want the warning only", format, got)
		}
	}
}

func TestFunctionLogger(t *testing.T) {
	t.Parallel()
	for concurrency, want := range map[int]string{0: "time", 1: "timestamp"} {
		var out bytes.Buffer
		boot.Logger(boot.Config{Concurrency: concurrency, LogTo: &out}).Warn("loud", "code", "unavailable")
		var line map[string]string
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if _, err := time.Parse(time.RFC3339Nano, line[want]); err != nil || line["level"] != "WARN" || line["code"] != "unavailable" || len(line) != 4 {
			t.Errorf("concurrency %d: %v, want %s, level, msg and code", concurrency, line, want)
		}
	}
}

func TestLogBuffer(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := boot.NewLogBuffer(&out)
	var want string
	for i := range 1000 { // more than it holds
		line := fmt.Sprintf("line %d of a length that fills the buffer now and then\n", i)
		want += line
		if n, err := b.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	b.Close()
	if got := out.String(); got != want {
		t.Errorf("%d bytes came out, want %d, in order", len(got), len(want))
	}
}
