package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strings"
	"time"

	"github.com/osirose-new/database-service/local/console"
	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
)

const (
	manyUsers   = 1_000_000 // each with one character
	goneUsers   = 20_000    // of these, with another one that is deleted
	searchCalls = 200
	searchLimit = 100 * time.Millisecond
)

const manyUsersSQL = `
INSERT INTO "user" (id, name, email, "emailVerified", "createdAt", "updatedAt", username, "displayUsername", role)
SELECT md5('many' || i), 'Many ' || i, md5('mail' || i) || '@example.com', true, now(), now(), md5('name' || i), 'Many' || i, 'user'
  FROM generate_series(1, %[1]d) AS i;
INSERT INTO game.character (user_id, slot, name, level, job, money)
SELECT md5('many' || i), 0, left(md5('hero' || i), 4) || i, 1, 0, 0 FROM generate_series(1, %[1]d) AS i;
INSERT INTO game.character (user_id, slot, name, level, job, money)
SELECT md5('many' || i), 1, left(md5('gone' || i), 4) || 'G' || i, 1, 0, 0 FROM generate_series(1, %[2]d) AS i;
UPDATE game.character SET deleted_at = now() - random() * interval '29 days' WHERE slot = 1 AND name ~ 'G';
ANALYZE`

// runStaff searches among a million users.
func runStaff(ctx context.Context, w *world, _ options) (section, error) {
	s := section{
		title: fmt.Sprintf("StaffService: %d users, %d of them with a deleted character", manyUsers, goneUsers),
		head:  []string{"call", "calls", "p50 ms", "p99 ms", "slowest ms", "goal of p99", ""},
	}
	if _, err := w.DB.Exec(ctx, fmt.Sprintf(manyUsersSQL, manyUsers, goneUsers)); err != nil {
		return s, err
	}
	p, err := startServer(w, addresses{postgres: w.Postgres.Addr(), redis: w.Redis.Addr}, 1)
	if err != nil {
		return s, err
	}
	defer p.stop()
	var missed error
	for _, c := range staffCalls(ctx, w, p) {
		took, err := durations(c.call)
		if err != nil {
			return s, fmt.Errorf("%s: %w", c.name, err)
		}
		p99 := took[len(took)*99/100]
		s.row(c.name, len(took), ms(took[len(took)/2]), ms(p99), ms(took[len(took)-1]), ms(searchLimit), held(p99 <= searchLimit))
		if p99 > searchLimit {
			missed = errMissed
		}
	}
	return s, missed
}

// durations returns the sorted durations of the calls. The first calls, which prepare the statements, count too.
func durations(call func(i int) error) ([]time.Duration, error) {
	var all []time.Duration
	for i := range searchCalls {
		began := time.Now()
		if err := call(i); err != nil {
			return nil, err
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all, nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }

type staffCall struct {
	name string
	call func(i int) error
}

func staffCalls(ctx context.Context, w *world, p *process) []staffCall {
	staff := databasev1.NewStaffServiceProtobufClient(p.urls[stack], p.client)
	find := func(by databasev1.PlayerField, query string) func(i int) error {
		return func(i int) error {
			_, err := staff.FindPlayers(ctx, &databasev1.FindPlayersRequest{Query: fmt.Sprintf(query, i), By: by})
			return err
		}
	}
	return []staffCall{
		{"FindPlayers, any field, three letters", find(databasev1.PlayerField_PLAYER_FIELD_UNSPECIFIED, "%03x")},
		{"FindPlayers, prefix of a username", find(databasev1.PlayerField_PLAYER_FIELD_USERNAME, "%04x")},
		{"FindPlayers, prefix of an e-mail address", find(databasev1.PlayerField_PLAYER_FIELD_EMAIL, "%04x")},
		{"FindPlayers, prefix of a character's name", find(databasev1.PlayerField_PLAYER_FIELD_CHARACTER_NAME, "%04x")},
		{"FindPlayers, one letter", find(databasev1.PlayerField_PLAYER_FIELD_UNSPECIFIED, "a%.0d")},
		{"GetPlayer", func(i int) error {
			_, err := staff.GetPlayer(ctx, &databasev1.GetPlayerRequest{UserId: w.users[i]})
			return err
		}},
		{"the console's search, any field, three letters", consoleSearch(ctx, p)},
	}
}

// consoleSearch asks for the console's page of the players that were found. The console calls the server.
func consoleSearch(ctx context.Context, p *process) func(i int) error {
	to := &httputil.ReverseProxy{Transport: p.client.Transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = "http", strings.TrimPrefix(p.urls[stack], "http://")
	}}
	pages := console.New(console.Options{Open: true, RPC: to, Log: slog.New(slog.DiscardHandler)})
	return func(i int) error {
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("/console/players?q=%03x", i), nil))
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "/console/player?id=") {
			return fmt.Errorf("the page of the search: HTTP %d", w.Code)
		}
		return nil
	}
}
