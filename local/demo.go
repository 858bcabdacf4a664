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

// demoUsers are the users of the embedded database, as if they had signed up in the web application. The first user gets a
// new session at each start.
var demoUsers = []struct {
	name       string
	banned     bool
	characters []string
}{
	{name: "alice", characters: []string{"Aldebaran", "Amber_Rose"}},
	{name: "bob", characters: []string{"Bobcat"}},
	{name: "carol", banned: true},
}

// demo records what this start has added.
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

// addDemo adds the missing users, a session for each new user, and always one for the first user.
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

// insertOne returns the inserted value, or "" if nothing was inserted.
func insertOne(ctx context.Context, conn *pgx.Conn, sql string, args pgx.StrictNamedArgs) (value string, err error) {
	err = conn.QueryRow(ctx, sql, args).Scan(&value)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return value, err
}

// addCharacters creates the new users' characters through the service. It uses the default rules, because the environment
// may set stricter rules that refuse the demo's names.
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

// randomID returns an id or a token in better-auth's form: 32 letters and digits.
func randomID() string { return (rand.Text() + rand.Text())[:32] }
