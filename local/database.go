package main

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/postgres"
	"github.com/osirose-new/database-service/shared/postgres/migrations"
)

const (
	databaseName = "osirose"
	// serviceLogin is the service's login. It has only the rights of the migrations' role.
	serviceLogin = "osirose_service"
)

// prepareDatabase creates the database, better-auth's tables, the service's schema and its login, each if it is missing. It
// returns the URL for the login. It also completes a start that was killed.
func prepareDatabase(ctx context.Context, p *embedded.Postgres, own postgres.Schema) (serviceURL string, err error) {
	if err := createDatabase(ctx, p); err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, p.URL(databaseName))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	if err := loadAuthTables(ctx, conn); err != nil {
		return "", err
	}
	if _, err := migrations.Apply(ctx, conn, migrations.Options{Schema: own}); err != nil {
		return "", fmt.Errorf("migrate: %w", err)
	}
	password := rand.Text() // new at each start; letters and digits only
	if _, err := conn.Exec(ctx, loginSQL(password)); err != nil {
		return "", fmt.Errorf("make the login: %w", err)
	}
	return p.UserURL(serviceLogin, password, databaseName), nil
}

func createDatabase(ctx context.Context, p *embedded.Postgres) error {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	there, err := exists(ctx, conn, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", databaseName)
	if err != nil || there {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+databaseName)
	return err
}

// loadAuthTables creates better-auth's tables, as the web application would. The file is one transaction, because all its
// statements are in one message.
func loadAuthTables(ctx context.Context, conn *pgx.Conn) error {
	there, err := exists(ctx, conn, `SELECT to_regclass($1) IS NOT NULL`, `public."user"`)
	if err != nil || there {
		return err
	}
	sql, err := embedded.Schemas.ReadFile("schema/plugins.sql")
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, string(sql))
	return err
}

func exists(ctx context.Context, conn *pgx.Conn, sql string, args ...any) (there bool, err error) {
	err = conn.QueryRow(ctx, sql, args...).Scan(&there)
	return there, err
}

func loginSQL(password string) string {
	return fmt.Sprintf(`
DO $$ BEGIN
	IF to_regrole('%[1]s') IS NULL THEN CREATE ROLE %[1]s LOGIN; END IF;
END $$;
GRANT %[2]s, %[2]s_purge, %[2]s_staff TO %[1]s;
ALTER ROLE %[1]s PASSWORD '%[3]s';
ALTER ROLE %[1]s SET statement_timeout = '500ms';`, serviceLogin, migrations.DefaultRole, password)
}
