package config_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/osirose-new/database-service/shared/cache"
	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/testenv"
)

// environment returns the variables as a function for Read.
func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

// names returns the variables that an error names, one on each line.
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
	defaults := config.Config{
		Listen: "0.0.0.0:50052", Admin: "127.0.0.1:50053", RedisURL: config.DefaultRedisURL, CacheTTL: cache.DefaultTTL, CacheMemory: 64 << 20, LogLevel: slog.LevelInfo,
	}
	for what, test := range map[string]struct {
		environment map[string]string
		want        config.Config
	}{
		"nothing is set": {nil, defaults},
		"everything is set": {
			map[string]string{
				"LISTEN_ADDR": "127.0.0.1", "SERVICE_PORT": "1", "DATABASE_SCHEMA": "other", "ADMIN_ADDR": "0.0.0.0:2", "DATABASE_URL": "postgres://db", "REDIS_URL": "rediss://cache?cluster=true",
				"CACHE_TTL": "90", "CACHE_MEMORY": "16MiB", "LOG_LEVEL": "debug", "LOG_FORMAT": "text", "BETTER_AUTH_SECRET": "secret",
				"SESSION_ID_LOOKUP": "refuse", "SESSION_WINDOW": "30m", "SESSION_CAP": "48h", "CHARACTER_SLOTS": "32",
				"CHARACTER_DELETE_DELAY": "1h30m", "CHARACTER_NAME_MIN": "5", "CHARACTER_NAME_MAX": "5",
				"CHARACTER_NAMES_RESERVED": "guild, council,,king", "EMBEDDED_METRICS": "true", "METRICS_STAGE": "live",
				"AWS_LAMBDA_FUNCTION_VERSION": "7",
			},
			config.Config{
				Listen: "127.0.0.1:1", Admin: "0.0.0.0:2", DatabaseURL: "postgres://db", Schema: "other", RedisURL: "rediss://cache?cluster=true", CacheTTL: 90 * time.Second, CacheMemory: 16 << 20,
				LogLevel: slog.LevelDebug, LogFormat: "text",
				Metrics:  config.EmbeddedMetrics{On: true, Stage: "live", Version: "7"},
				Sessions: config.Sessions{RefuseSessionID: true, Window: 30 * time.Minute, Cap: 48 * time.Hour},
				Characters: config.Characters{
					Slots: 32, DeleteDelay: 90 * time.Minute, NameMin: 5, NameMax: 5, NamesReserved: []string{"guild", "council", "king"},
				},
			},
		},
		"an IPv6 address":  {map[string]string{"LISTEN_ADDR": "::1"}, func(c config.Config) config.Config { c.Listen = "[::1]:50052"; return c }(defaults)},
		"no admin address": {map[string]string{"ADMIN_ADDR": "off"}, func(c config.Config) config.Config { c.Admin = ""; return c }(defaults)},
		"no cache":         {map[string]string{"REDIS_URL": " off\n"}, func(c config.Config) config.Config { c.RedisURL = config.RedisOff; return c }(defaults)},
		"a link's address": {map[string]string{"LISTEN_ADDR": "fe80::1%eth0"}, func(c config.Config) config.Config { c.Listen = "[fe80::1%eth0]:50052"; return c }(defaults)},
		"a host's name":    {map[string]string{"LISTEN_ADDR": "localhost"}, func(c config.Config) config.Config { c.Listen = "localhost:50052"; return c }(defaults)},
	} {
		got, err := config.Read(environment(test.environment))
		if err != nil {
			t.Errorf("%s: Read: %v", what, err)
		}
		if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(config.Sessions{}, "Verifier")); diff != "" {
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
		sentences := testenv.CollectSentences(t, "Environment variables")
		for name, values := range map[string][]string{
			"LISTEN_ADDR":            {"0.0.0.0:50052", ":50052", "[::1]", `"0.0.0.0"`, "*", "http://0.0.0.0", "$HOST", "a b"},
			"ADMIN_ADDR":             {"50053", "localhost", "localhost:", "localhost:0", "localhost:http", "::1:50053", "OFF", "h:65536"},
			"DATABASE_SCHEMA":        {"Game", "9a", "a b", "pg_game", "public", "information_schema", strings.Repeat("x", 64)},
			"SERVICE_PORT":           {"0", "65536", "-1", "http", "5e4", "99999999999999999999"},
			"CACHE_TTL":              {"0", "-5", "0.5", "25h", "soon", "99999999999999999999", "10000000000000", "5x"},
			"CACHE_MEMORY":           {"64", "-1", "1023KiB", "64MB", "64 MiB", "1.5GiB", "MiB", "99999999999999999999", "17179869184GiB"},
			"LOG_LEVEL":              {"loud", "5"},
			"LOG_FORMAT":             {"xml", "JSON"},
			"EMBEDDED_METRICS":       {"yes", "1", "TRUE"},
			"METRICS_STAGE":          {"a b", "a\"", "ä", strings.Repeat("x", 65)},
			"SESSION_ID_LOOKUP":      {"yes", "REFUSE"},
			"SESSION_WINDOW":         {"59", "-1h", "366d", "9000h"},
			"SESSION_CAP":            {"0", "1s", "x"},
			"BETTER_AUTH_SECRET":     {"\n", "\r\n", " ", "\t\n"},
			"AUTH_SECRET":            {"\n", " "},
			"BETTER_AUTH_SECRETS":    {"secret", "1:", "x:secret", "-1:secret", "1:a,1:b", "1:a,", ","},
			"CHARACTER_SLOTS":        {"0", "33", "five"},
			"CHARACTER_DELETE_DELAY": {"0", "0s", "9000h"},
			"CHARACTER_NAME_MIN":     {"3", "21"},
			"CHARACTER_NAME_MAX":     {"3", "21"},
		} {
			for _, value := range values {
				_, err := config.Read(environment(map[string]string{name: value}))
				if diff := cmp.Diff([]string{name}, names(err)); diff != "" {
					t.Errorf("Read(%s=%s) = %v names (-want +got):\n%s", name, value, err, diff)
				}
				if err != nil {
					sentences.Add(err.Error())
				}
			}
		}
	})

	t.Run("all at once, and no value", func(t *testing.T) {
		t.Parallel()
		const canary = "Hunter2canary"
		wrong := map[string]string{
			"LISTEN_ADDR": canary + ":80", "DATABASE_URL": "postgres://user:" + canary + "@[", "REDIS_URL": "redis://:" + canary + "@[",
		}
		for _, name := range []string{
			"SERVICE_PORT", "ADMIN_ADDR", "DATABASE_SCHEMA", "CACHE_TTL", "CACHE_MEMORY", "LOG_LEVEL", "LOG_FORMAT", "SESSION_ID_LOOKUP", "SESSION_WINDOW", "SESSION_CAP",
			"CHARACTER_SLOTS", "CHARACTER_DELETE_DELAY", "CHARACTER_NAME_MIN", "CHARACTER_NAME_MAX",
		} {
			wrong[name] = canary
		}
		want := make([]string, 0, len(wrong))
		for name := range wrong {
			want = append(want, name)
		}
		slices.Sort(want)
		wrong["BETTER_AUTH_SECRET"] = canary // every value is valid
		_, err := config.Read(environment(wrong))
		if diff := cmp.Diff(want, names(err)); diff != "" {
			t.Errorf("Read names (-want +got):\n%s", diff)
		}
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("Read = %v, which contains a value", err)
		}
	})

	t.Run("the minimum length of names exceeds the maximum", func(t *testing.T) {
		t.Parallel()
		_, err := config.Read(environment(map[string]string{"CHARACTER_NAME_MIN": "9", "CHARACTER_NAME_MAX": "8"}))
		if diff := cmp.Diff([]string{"CHARACTER_NAME_MIN"}, names(err)); diff != "" {
			t.Errorf("Read names (-want +got):\n%s", diff)
		}
	})

	t.Run("a missing DATABASE_URL is not an error: local starts its own server", func(t *testing.T) {
		t.Parallel()
		_, err := config.Read(environment(map[string]string{"LOG_LEVEL": "loud"}))
		if diff := cmp.Diff([]string{"LOG_LEVEL"}, names(err)); diff != "" {
			t.Errorf("Read names (-want +got):\n%s", diff)
		}
	})
}

// TestUserURL refuses a URL that a browser would run, or whose host is a user's id.
func TestUserURL(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"": true, "https://game.example/admin/users/{user_id}": true, "http://localhost:3000?id={user_id}": true, "https://game.example/#/{user_id}/bans": true,
		"javascript:alert({user_id})": false, "//game.example/{user_id}": false, "/users/{user_id}": false, "https://game.example/users": false,
		"https://{user_id}": false, "https://{user_id}.game.example/": false, "https://game.example@{user_id}/": false, "https:///{user_id}": false,
		"HTTPS://game.example/{user_id}": false, "data:text/html,{user_id}": false,
	} {
		_, err := config.Read(environment(map[string]string{"USER_ADMIN_URL": value}))
		if ok := !slices.Contains(names(err), "USER_ADMIN_URL"); ok != want {
			t.Errorf("USER_ADMIN_URL=%s is accepted: %t, want %t", value, ok, want)
		}
	}
}
