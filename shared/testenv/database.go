package testenv

import (
	"context"
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/osirose-new/database-service/shared/embedded"
	"github.com/osirose-new/database-service/shared/postgres/migrations"
)

const (
	webRole      = "web_application" // owns better-auth's tables
	serviceLogin = "game_service"    // the service's login
	purgeLogin   = "game_purge"      // the login of a purge that has no other rights
	bothLogin    = "game_and_purge"  // one login for everything
	staffLogin   = "game_and_staff"  // the service's login, if it serves StaffService too
	purgeRole    = migrations.DefaultRole + "_purge"
	staffRole    = migrations.DefaultRole + "_staff"
	rolesSQL     = "CREATE ROLE " + webRole + " LOGIN; CREATE ROLE " + migrations.DefaultRole + " NOLOGIN; CREATE ROLE " + purgeRole + " NOLOGIN; CREATE ROLE " + staffRole + " NOLOGIN; " +
		"CREATE ROLE " + migrations.DefaultRole + "_owner NOLOGIN; " +
		"CREATE ROLE " + serviceLogin + " LOGIN IN ROLE " + migrations.DefaultRole + "; CREATE ROLE " + purgeLogin + " LOGIN IN ROLE " + purgeRole + "; " +
		"CREATE ROLE " + bothLogin + " LOGIN IN ROLE " + migrations.DefaultRole + ", " + purgeRole + ", " + staffRole + "; " +
		"CREATE ROLE " + staffLogin + " LOGIN IN ROLE " + migrations.DefaultRole + ", " + staffRole
)

// Database is one test's database.
type Database struct {
	Variant string
	Name    string
	Owner   *pgxpool.Pool // superuser
	Web     *pgxpool.Pool // the web application
}

var (
	makeRoles = sync.OnceValue(func() error { return runSQL(context.Background(), server.started, "postgres", rolesSQL) })
	templates sync.Map // of func() error by variant, which makes the template at its first call
	names     atomic.Int64
)

// NewDatabase clones the migrated template of a variant.
func NewDatabase(t testing.TB, variant string) *Database {
	t.Helper()
	Postgres(t)
	template := "template_" + variant
	made, _ := templates.LoadOrStore(variant, sync.OnceValue(func() error {
		if err := makeRoles(); err != nil {
			return err
		}
		return makeMigrated(context.Background(), server.started, template, variant)
	}))
	if err := made.(func() error)(); err != nil {
		t.Fatalf("template %s: %v", variant, err)
	}
	d := newDatabase(t, "TEMPLATE "+template)
	d.Variant = variant
	return d
}

// NewEmptyDatabase creates a database without the migrations. schema names a file of better-auth's tables, or is empty.
func NewEmptyDatabase(t testing.TB, schema string) *Database {
	t.Helper()
	return NewOddDatabase(t, schema, "")
}

// NewOddDatabase is NewEmptyDatabase with more options of CREATE DATABASE.
func NewOddDatabase(t testing.TB, schema, options string) *Database {
	t.Helper()
	Postgres(t)
	if err := makeRoles(); err != nil {
		t.Fatal(err)
	}
	d := newDatabase(t, "OWNER "+webRole+" "+options)
	d.Variant = schema
	if schema != "" {
		if err := loadSchema(t.Context(), server.started, d.Name, schema); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func newDatabase(t testing.TB, how string) *Database {
	t.Helper()
	d := &Database{Name: fmt.Sprintf("test_%d", names.Add(1))}
	if err := create(t.Context(), d.Name, how); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := server.admin.Exec(context.Background(), "DROP DATABASE "+d.Name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	d.Owner = pool(t, server.started.URL(d.Name))
	d.Web = pool(t, server.started.UserURL(webRole, "", d.Name))
	return d
}

// create creates a database by copying files, which takes half the CPU of copying through the log.
func create(ctx context.Context, name, how string) error {
	return server.admin.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
		if !strings.HasPrefix(c.Conn().PgConn().ParameterStatus("server_version"), "14.") { // it only copies files
			how += " STRATEGY file_copy"
		}
		_, err := c.Exec(ctx, "CREATE DATABASE "+name+" "+how)
		return err
	})
}

func pool(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	p, err := pgxpool.New(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// runSQL runs statements on p as superuser.
func runSQL(ctx context.Context, p *embedded.Postgres, database, sql string) error {
	conn, err := pgx.Connect(ctx, p.URL(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// makeMigrated creates a database with better-auth's tables and the service's schema.
func makeMigrated(ctx context.Context, p *embedded.Postgres, name, variant string) error {
	if err := runSQL(ctx, p, "postgres", "CREATE DATABASE "+name+" OWNER "+webRole); err != nil {
		return err
	}
	if err := loadSchema(ctx, p, name, variant); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, p.URL(name))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = migrations.Apply(ctx, conn, migrations.Options{AuthTimezone: "UTC"})
	return err
}

// loadSchema creates better-auth's tables. The web application owns them.
func loadSchema(ctx context.Context, p *embedded.Postgres, database, schema string) error {
	sql, err := embedded.Schemas.ReadFile("schema/" + schema + ".sql")
	if err != nil {
		return err
	}
	return runSQL(ctx, p, database, "GRANT CREATE ON SCHEMA public TO "+webRole+"; SET ROLE "+webRole+"; "+string(sql))
}

// Plugins reports whether the variant has the columns of the username and admin plugins.
func (d *Database) Plugins() bool { return d.Variant != "core" }

// SerialIDs reports whether ids are numbers.
func (d *Database) SerialIDs() bool { return d.Variant == "serial" }

// Table returns the quoted name of better-auth's table "user" or "session" in this variant.
func (d *Database) Table(name string) string {
	if d.Variant == "snake" {
		name += "s"
	}
	return pgx.Identifier{name}.Sanitize()
}

// Column returns the quoted name of a column that better-auth calls name, for example "banExpires".
func (d *Database) Column(name string) string {
	if d.Variant == "snake" {
		var b strings.Builder
		for _, r := range name {
			if unicode.IsUpper(r) {
				b.WriteByte('_')
			}
			b.WriteRune(unicode.ToLower(r))
		}
		name = b.String()
	}
	return pgx.Identifier{name}.Sanitize()
}

// WebExec runs a statement as the web application. {user} and {session} stand for the tables, [banExpires] for a column.
func (d *Database) WebExec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := d.Web.Exec(t.Context(), d.Expand(sql), args...); err != nil {
		t.Fatalf("as the web application: %v", err)
	}
}

var placeholder = regexp.MustCompile(`\{[^}]*\}|\[[^\]]*\]`)

// Expand replaces {table} and [column] with their names in this variant.
func (d *Database) Expand(sql string) string {
	return placeholder.ReplaceAllStringFunc(sql, func(s string) string {
		name := s[1 : len(s)-1]
		if s[0] == '[' {
			return d.Column(name)
		}
		return d.Table(name)
	})
}

// OwnerExec runs a statement as superuser.
func (d *Database) OwnerExec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := d.Owner.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// AddUser adds a user as better-auth does, and returns its id.
func (d *Database) AddUser(t testing.TB, name string) string {
	t.Helper()
	columns := []string{"[name]", "[email]", "[emailVerified]", "[createdAt]", "[updatedAt]"}
	args := []any{name, strings.ToLower(name) + emailCanary, true, time.Now().UTC(), time.Now().UTC()}
	if d.Plugins() {
		columns = append(columns, "[username]", "[displayUsername]", "[role]")
		args = append(args, strings.ToLower(name), name, "user")
	}
	return d.insert(t, "{user}", columns, args)
}

// AddSession adds a session and returns its id and token.
func (d *Database) AddSession(t testing.TB, userID string, lifetime time.Duration) (id, token string) {
	t.Helper()
	token = rand.Text() + tokenCanary
	columns := []string{"[token]", "[userId]", "[createdAt]", "[updatedAt]", "[expiresAt]", "[ipAddress]", "[userAgent]"}
	now := time.Now().UTC()
	args := []any{token, userID, now, now, now.Add(lifetime), ipCanary + "7", "test agent"}
	return d.insert(t, "{session}", columns, args), token
}

func (d *Database) insert(t testing.TB, table string, columns []string, args []any) (id string) {
	t.Helper()
	if d.Variant != "uuid" && d.Variant != "serial" {
		columns, args = append(columns, "[id]"), append(args, rand.Text()+"xyzXYZ")
	}
	places := make([]string, len(args))
	for i := range args {
		places[i] = fmt.Sprintf("$%d", i+1)
	}
	sql := d.Expand("INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (" + strings.Join(places, ", ") + ") RETURNING id::text")
	if err := d.Web.QueryRow(t.Context(), sql, args...).Scan(&id); err != nil {
		t.Fatalf("as the web application: %v", err)
	}
	return id
}
