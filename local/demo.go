package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	databasev1 "github.com/osirose-new/database-service/rpc/osirose/database/v1"
	"github.com/osirose-new/database-service/shared/app"
	"github.com/osirose-new/database-service/shared/characters"
	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/rpcserver"
)

// demoUsers are in the embedded database, as if they had signed up in the web application. The first one gets a new
// session at each start.
var demoUsers = []struct {
	name       string
	banned     bool
	characters []string
}{
	{name: "alice", characters: []string{"Aldebaran", "Amber_Rose"}},
	{name: "bob", characters: []string{"Bobcat"}},
	{name: "carol", banned: true},
}

// demo is what this start has added.
type demo struct {
	token string            // of a session of the first user; empty: none
	added map[string]string // new users, id by name
}

const (
	insertUserSQL = `
INSERT INTO "user" (id, name, email, "emailVerified", "createdAt", "updatedAt", username, "displayUsername", role,
       banned, "banReason")
VALUES (@id, initcap(@name), @name || '@example.com', true, now(), now(), @name, initcap(@name), 'user',
       @banned, CASE WHEN @banned THEN 'cheating' END)
ON CONFLICT DO NOTHING
RETURNING id`

	insertSessionSQL = `
INSERT INTO session (id, token, "userId", "createdAt", "updatedAt", "expiresAt", "ipAddress", "userAgent")
SELECT @id, @token, u.id, now(), now(), now() + interval '7 days', '127.0.0.1', 'demo'
  FROM "user" AS u
 WHERE u.username = @name
RETURNING token`
)

// addDemo adds the users that are missing, a session for each new one, and one for the first.
func addDemo(ctx context.Context, p *embedded.Postgres) (demo, error) {
	d := demo{added: map[string]string{}}
	conn, err := pgx.Connect(ctx, p.URL(databaseName))
	if err != nil {
		return d, err
	}
	defer conn.Close(ctx)
	for i, u := range demoUsers {
		id, err := insertOne(ctx, conn, insertUserSQL, pgx.StrictNamedArgs{"id": randomID(), "name": u.name, "banned": u.banned})
		if err != nil {
			return d, err
		}
		if id != "" {
			d.added[u.name] = id
		}
		if id == "" && i > 0 {
			continue
		}
		token, err := insertOne(ctx, conn, insertSessionSQL, pgx.StrictNamedArgs{"id": randomID(), "token": randomID(), "name": u.name})
		if err != nil {
			return d, err
		}
		if i == 0 {
			d.token = token
		}
	}
	return d, nil
}

// insertOne returns what was inserted, or "" where nothing was.
func insertOne(ctx context.Context, conn *pgx.Conn, sql string, args pgx.StrictNamedArgs) (value string, err error) {
	err = conn.QueryRow(ctx, sql, args).Scan(&value)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return value, err
}

// addCharacters makes the new users' characters through the service itself, under the standard rules: stricter ones
// that the environment may hold are not for the demo's names.
func (d demo) addCharacters(ctx context.Context, p *app.Program) error {
	service := characters.NewService(characters.NewRepository(p.DB, p.Cache), characters.Config{})
	for _, u := range demoUsers {
		id, ok := d.added[u.name]
		if !ok {
			continue
		}
		for _, name := range u.characters {
			ctx, cancel := context.WithTimeout(ctx, rpcserver.Budget)
			_, err := service.CreateCharacter(ctx, &databasev1.CreateCharacterRequest{UserId: id, Name: name})
			cancel()
			if err != nil {
				return fmt.Errorf("demo character %s: %w", name, err)
			}
		}
	}
	return nil
}

// randomID has better-auth's form, for ids as for tokens: 32 letters and digits.
func randomID() string { return (rand.Text() + rand.Text())[:32] }
