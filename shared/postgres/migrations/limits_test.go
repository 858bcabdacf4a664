package migrations_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/osirose-new/database-service/shared/postgres/migrations"
	"github.com/osirose-new/database-service/shared/testenv"
)

// aSession adds a user with a session of the given age, which has ten minutes left.
func aSession(t *testing.T, d *testenv.Database, age time.Duration) {
	t.Helper()
	d.OwnerExec(t, `INSERT INTO "user" (id, name, email, "emailVerified") VALUES ('u1', 'Player', 'player@example.com', true)`)
	d.OwnerExec(t, `INSERT INTO session (id, token, "userId", "createdAt", "expiresAt", "updatedAt")
		VALUES ('s1', 'token1', 'u1', now() - $1::interval, now() + interval '10 minutes', now())`, age)
}

// TestSessionLimits calls game.extend_session as the service's login, with arguments that try to pass the limits.
func TestSessionLimits(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	limits := migrations.Settings{SessionWindow: 2 * time.Hour, SessionCap: 30 * day, SessionMinGain: 5 * time.Minute}
	for name, test := range map[string]struct {
		age       time.Duration
		arguments string // window, cap, min_gain
		left      time.Duration
	}{
		"the limits themselves": {0, `'2 hours', '30 days', '5 minutes'`, 2 * time.Hour},
		"a hundred years":       {0, `'100 years', '100 years', '0'`, 2 * time.Hour},
		"no limits":             {0, `NULL, NULL, NULL`, 2 * time.Hour},
		"a month for 30 days":   {0, `'1 month', '1 month', '0'`, 2 * time.Hour},
		// Eleven months compare as 330 days, and add 334 or 335.
		"months that compare as 1 hour":  {0, `'11 months -329 days -23 hours', '30 days', '0'`, time.Hour},
		"a year that compares as 1 hour": {0, `'1 year -359 days -23 hours', '30 days', '0'`, 2 * time.Hour},
		"the longest interval":           {0, `'178000000 years', '178000000 years', '-178000000 years'`, 2 * time.Hour},
		"a lower window":                 {0, `'1 hour', '30 days', '5 minutes'`, time.Hour},
		"at the cap":                     {30*day - time.Hour, `'100 years', '100 years', '0'`, time.Hour},
		"at the cap, by a month":         {30*day - time.Hour, `'2 hours', '1 month', '0'`, time.Hour},
		"at the cap, by eleven months":   {30*day - time.Hour, `'2 hours', '11 months -300 days', '0'`, time.Hour},
		"at the cap, by 720 hours":       {30*day - time.Hour, `'2 hours', '1 month -30 days 720 hours', '0'`, time.Hour},
		"at the cap, by no limit":        {30*day - time.Hour, `NULL, NULL, NULL`, time.Hour},
		"past the cap":                   {30 * day, `'100 years', '100 years', '-100 years'`, 10 * time.Minute},
		"a lower cap":                    {time.Hour, `'2 hours', '90 minutes', '5 minutes'`, 30 * time.Minute},
		"a cap that has passed":          {time.Hour, `'2 hours', '1 minute', '0'`, 10 * time.Minute},
		"a negative window":              {0, `'-1 hour', '30 days', '-2 hours'`, 10 * time.Minute},
		"a negative cap":                 {0, `'2 hours', '-100 years', '-200 years'`, 10 * time.Minute},
		"a gain below the limit":         {0, `'14 minutes', '30 days', '1 second'`, 10 * time.Minute},
		"a negative gain":                {0, `'14 minutes', '30 days', '-1 hour'`, 10 * time.Minute},
		"a higher gain":                  {0, `'2 hours', '30 days', '2 hours'`, 10 * time.Minute},
		"a gain without an end":          {0, `'2 hours', '30 days', '178000000 years'`, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testenv.NewEmptyDatabase(t, "plugins")
			aSession(t, d, test.age)
			apply(t, d, migrations.Options{Settings: limits})
			for range 2 { // again: nothing adds up
				if _, err := service(t, d).Exec(t.Context(), `SELECT game.extend_session('s1', `+test.arguments+`)`); err != nil {
					t.Fatal(err)
				}
			}
			var wrong time.Duration
			if err := d.Owner.QueryRow(t.Context(), `SELECT "expiresAt" - now() - $1::interval FROM session`, test.left).Scan(&wrong); err != nil {
				t.Fatal(err)
			}
			const unit = 4 * time.Minute // more than a slow machine needs, and less than any wrong answer
			if wrong > time.Second || wrong < -unit {
				t.Errorf("the session has %s left, want %s", test.left+wrong, test.left)
			}
		})
	}
}

// TestSessionLimitsOfTheTimeZone extends while the session's zone is one whose offset has changed within the cap. A day is 24
// hours there, too.
func TestSessionLimitsOfTheTimeZone(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	d.OwnerExec(t, `INSERT INTO "user" (id, name, email, "emailVerified") VALUES ('u1', 'Player', 'player@example.com', true)`)
	// Within half a year, one of the two zones moves its clocks forward and the other one back.
	d.OwnerExec(t, `INSERT INTO session (id, token, "userId", "createdAt", "expiresAt", "updatedAt")
		VALUES ('s1', 'token1', 'u1', now() - interval '4392 hours' + interval '1 minute', now() + interval '30 seconds', now())`)
	apply(t, d, migrations.Options{Settings: migrations.Settings{SessionCap: 183 * 24 * time.Hour, SessionMinGain: time.Second}})
	conn := service(t, d)
	for _, zone := range []string{"Europe/Berlin", "Australia/Sydney", "UTC"} {
		if _, err := conn.Exec(t.Context(), `SET TimeZone = '`+zone+`'`); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), `SELECT game.extend_session('s1', '1 hour', '183 days', '1 second')`); err != nil {
			t.Fatal(err)
		}
	}
	var over bool
	if err := d.Owner.QueryRow(t.Context(), `SELECT "expiresAt" > "createdAt" + interval '4392 hours' FROM session`).Scan(&over); err != nil || over {
		t.Errorf("the session lives longer than its cap (%v)", err)
	}
}

// TestSessionLimitsAreKept checks that a run without the flags keeps the limits, each for itself, and that the first run of this
// version has the defaults.
func TestSessionLimitsAreKept(t *testing.T) {
	t.Parallel()
	d := testenv.NewEmptyDatabase(t, "plugins")
	for _, run := range []struct {
		flags migrations.Settings
		want  string
	}{
		{migrations.Settings{}, "3600 2592000 300"},
		{migrations.Settings{SessionWindow: 2 * time.Hour}, "7200 2592000 300"},
		{migrations.Settings{SessionCap: 48 * time.Hour}, "7200 172800 300"},
		{migrations.Settings{SessionMinGain: time.Minute}, "7200 172800 60"},
		{migrations.Settings{}, "7200 172800 60"},
	} {
		done := apply(t, d, migrations.Options{Settings: run.flags})
		var got string
		if err := d.Owner.QueryRow(t.Context(), `SELECT concat_ws(' ', session_window_seconds, session_cap_seconds, session_min_gain_seconds) FROM game.adapter`).Scan(&got); err != nil || got != run.want {
			t.Errorf("after a run with %+v: %s (%v), want %s", run.flags, got, err, run.want)
		}
		if run.flags == (migrations.Settings{}) && run.want != "3600 2592000 300" && len(done) > 0 {
			t.Errorf("a run without flags did %v, want nothing", done)
		}
	}
}

func TestSessionLimitsRefused(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "Migrate: limits of sessions")
	d := testenv.NewEmptyDatabase(t, "plugins")
	for _, test := range []struct {
		flags migrations.Settings
		want  string
	}{
		{migrations.Settings{SessionWindow: time.Second}, "-session-window 1s is not from 1m0s to 8760h0m0s"},
		{migrations.Settings{SessionCap: 366 * 24 * time.Hour}, "-session-cap 8784h0m0s is not from"},
		{migrations.Settings{SessionMinGain: 1500 * time.Millisecond}, "-session-min-gain 1.5s is not from 1s to 24h0m0s in whole seconds"},
		{migrations.Settings{SessionMinGain: 2 * time.Hour}, "-session-min-gain 2h0m0s is more than -session-window 1h0m0s"},
	} {
		_, err := migrations.Apply(t.Context(), connect(t, d), migrations.Options{Settings: test.flags})
		sentences.Add(fmt.Sprint(err))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Apply with %+v = %v, want %q", test.flags, err, test.want)
		}
	}
}

// TestCheckNamesLimits compares the service's configuration with the limits of the database.
func TestCheckNamesLimits(t *testing.T) {
	t.Parallel()
	sentences := testenv.CollectSentences(t, "/readyz: limits of sessions")
	d := testenv.NewEmptyDatabase(t, "plugins")
	apply(t, d, migrations.Options{Settings: migrations.Settings{SessionCap: 48 * time.Hour}})
	for _, test := range []struct {
		window, limit time.Duration
		want          []string // empty: no warning
	}{
		{0, 0, nil},
		{time.Hour, 48 * time.Hour, nil},
		{time.Minute, time.Hour, nil},
		{time.Hour, 720 * time.Hour, []string{"SESSION_CAP is 720h0m0s, but the database allows 48h0m0s: lower it, or run database-service migrate -session-cap 720h0m0s"}},
		{2 * time.Hour, 72 * time.Hour, []string{"SESSION_WINDOW is 2h0m0s", "migrate -session-window 2h0m0s; SESSION_CAP is 72h0m0s"}},
	} {
		c := migrations.Checker{SessionWindow: test.window, SessionCap: test.limit}
		s, err := c.Check(context.Background(), service(t, d))
		if test.want == nil {
			if err != nil || s.Warning != "" {
				t.Errorf("Check with %s and %s = %+v, %v; want no warning", test.window, test.limit, s, err)
			}
			continue
		}
		sentences.Add(s.Warning)
		for _, want := range test.want {
			if err != nil || !strings.Contains(s.Warning, want) {
				t.Errorf("Check with %s and %s = %+v, %v; want the warning %q", test.window, test.limit, s, err, want)
			}
		}
	}
}
