package migrations

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/postgres"
)

// Querier is a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// table is one of better-auth's tables in this database. Columns are found by their name without case and underscores,
// because better-auth can name a field emailVerified, email_verified or emailverified.
type table struct {
	schema, name string
	view         bool
	unusable     string // why it cannot be used, or ""
	heir         string // a table that inherits from it, or ""
	columns      map[string]column
	all          []column // of any name
	alias, zone  string
}

type column struct {
	name   string
	typ    sqlType
	domain bool // over typ
	// collation is the quoted name of a collation that is not the default of the type, or "", and within is its schema. loose:
	// different texts are equal in it.
	collation, within string
	loose             bool
}

// userFields and sessionFields are the fields that the adapter reads. The first ones are in better-auth's core schema;
// the others belong to plugins and may be missing.
var (
	userCore      = []string{"id", "name", "email", "emailverified", "image", "createdat", "updatedat"}
	userFields    = append(slices.Clone(userCore), "username", "displayusername", "role", "banned", "banreason", "banexpires")
	sessionCore   = []string{"id", "token", "userid", "expiresat", "createdat", "updatedat", "ipaddress", "useragent"}
	sessionFields = append(slices.Clone(sessionCore), "impersonatedby")
)

// catalogSQL reads only catalogs that every role can read, including for tables that the role cannot read. The type of a
// domain is its base type, also if that is of a domain again. Types of extensions have their schema, because search_path differs
// between roles.
const catalogSQL = `
WITH RECURSIVE base (type, oid) AS (
	SELECT t.oid, t.oid FROM pg_type AS t
	UNION ALL
	SELECT base.type, t.typbasetype FROM base JOIN pg_type AS t ON t.oid = base.oid AND t.typtype = 'd'
)
SELECT n.nspname AS schema, c.relname AS table, c.relkind = 'v' AS view, a.attname AS column,
       CASE c.relkind WHEN 'f' THEN 'a foreign table, which cannot tell the service of changes: let DATABASE_URL lead to the database that has the table itself'
                      WHEN 'm' THEN 'a materialized view, which lacks every change since it was refreshed: use a table or a view' ELSE '' END AS unusable,
       coalesce((SELECT min(format('%I.%I', hn.nspname, h.relname)) FROM pg_inherits AS i JOIN pg_class AS h ON h.oid = i.inhrelid
                   JOIN pg_namespace AS hn ON hn.oid = h.relnamespace WHERE i.inhparent = c.oid AND c.relkind = 'r'), '') AS heir,
       CASE WHEN bn.nspname = 'pg_catalog' THEN replace(format_type(b.oid, NULL), '"', '') ELSE format('%I.%I', bn.nspname, b.typname) END AS type,
       b.oid <> a.atttypid AS domain,
       CASE WHEN a.attcollation <> b.typcollation THEN format('%I.%I', ln.nspname, l.collname) ELSE '' END AS collation,
       coalesce(ln.nspname, '') AS within,
       NOT coalesce(l.collisdeterministic, true) AS loose
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN base ON base.type = a.atttypid
  JOIN pg_type AS b ON b.oid = base.oid AND b.typtype <> 'd'
  JOIN pg_namespace AS bn ON bn.oid = b.typnamespace
  LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
  LEFT JOIN pg_namespace AS ln ON ln.oid = l.collnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'f', 'm')
   AND ($1::text[] IS NULL OR lower(c.relname) IN ('user', 'users', 'session', 'sessions') OR c.relname = ANY ($1))
   AND ($2 = '' OR n.nspname = $2)
   AND n.nspname NOT IN ('game', 'information_schema')
   AND n.nspname !~ '^pg_'
   -- The view users of another schema of the service is no table of better-auth.
   AND (SELECT count(*) FROM pg_class AS own WHERE own.relnamespace = n.oid AND own.relname IN ('migration', 'adapter', 'cache_change')) < 3
 ORDER BY n.nspname, c.relname, a.attnum`

// readCatalog returns tables and views, ordered by name: those whose names better-auth uses and those in named, or all if
// named is nil.
func readCatalog(ctx context.Context, q Querier, own postgres.Schema, authSchema string, named []string) (found []*table, err error) {
	rows, err := q.Query(ctx, own.In(catalogSQL), named, authSchema)
	if err != nil {
		return nil, err
	}
	type row struct {
		Schema, Table, Column string
		Unusable, Heir        string
		View, Domain, Loose   bool
		Type                  sqlType
		Collation, Within     string
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		last := len(found) - 1
		if last < 0 || found[last].schema != r.Schema || found[last].name != r.Table {
			found = append(found, &table{schema: r.Schema, name: r.Table, view: r.View, unusable: r.Unusable, heir: r.Heir, columns: map[string]column{}})
			last++
		}
		c := column{r.Column, r.Type, r.Domain, r.Collation, r.Within, r.Loose}
		found[last].columns[plain(r.Column)], found[last].all = c, append(found[last].all, c)
	}
	return found, nil
}

// plain removes what better-auth's adapters vary in a name.
func plain(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "") }

// authTables are better-auth's two tables that the service reads.
type authTables struct {
	own           postgres.Schema // of the service, which reads them
	User, Session table
}

// findAuth finds better-auth's tables, in authSchema or, if that is empty, in any schema.
func findAuth(ctx context.Context, q Querier, own postgres.Schema, authSchema string, n Names) (authTables, error) {
	found, err := readCatalog(ctx, q, own, authSchema, []string{n.UserTable, n.SessionTable})
	if err != nil {
		return authTables{own: own}, err
	}
	user, err := n.pick(found, "user", n.UserTable, userCore)
	if err != nil {
		return authTables{own: own}, err
	}
	session, err := n.pick(found, "session", n.SessionTable, sessionCore)
	if err != nil {
		return authTables{own: own}, err
	}
	if user == nil || session == nil {
		return authTables{own: own}, notFound(ctx, q, own, authSchema, user == nil)
	}
	user.alias, session.alias = "u", "s"
	return authTables{own: own, User: *user, Session: *session}, nil
}

// notFound explains why the user or the session table was not found. A table of another name may be it.
func notFound(ctx context.Context, q Querier, own postgres.Schema, authSchema string, user bool) error {
	kind, core := "session", sessionCore
	if user {
		kind, core = "user", userCore
	}
	all, err := readCatalog(ctx, q, own, authSchema, nil)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(t *table) bool { return t.unusable != "" })
	const renamed = 2 // columns at most that may have other names as well
	slices.SortStableFunc(all, func(a, b *table) int { return len(a.lacks(core)) - len(b.lacks(core)) })
	if len(all) > 0 && len(all[0].lacks(core)) <= renamed {
		return missing(fmt.Sprintf("there is no table %q, but %s has the columns of better-auth's %s table; if that is it, pass -%s-table %s", kind, all[0].Table(), kind, kind, all[0].name))
	}
	other := fmt.Sprintf(" If it has another name, pass -%s-table; for other names of columns -column", kind)
	if user {
		return missing(`better-auth's user table is missing: there is no table "user" or "users"; let the web application run ` +
			`better-auth's migration first.` + other)
	}
	return missing(`better-auth's session table is missing: with a secondary storage better-auth keeps sessions there alone; ` +
		`set session.storeSessionInDatabase: true in the web application and run its migration.` + other)
}

// missing is an error that the web application's migration, followed by this one, fixes.
type missing string

func (m missing) Error() string        { return string(m) }
func (m missing) Is(target error) bool { return target == ErrSchema }

// ambiguous is the error for several tables that could be better-auth's. -auth-schema helps only if they are all in different
// schemas.
func ambiguous(kind string, fit []*table) error {
	var names, schemas []string
	for _, t := range fit {
		names = append(names, t.Table())
		schemas = append(schemas, t.schema)
	}
	found := "several tables could be better-auth's " + kind + " table: " + strings.Join(names, " and ") + "; "
	if different := slices.Compact(slices.Clone(schemas)); len(different) == len(schemas) { // they are sorted
		return missing(found + "name the schema of better-auth's tables with -auth-schema (" + strings.Join(different, " or ") + ")")
	}
	return missing(found + "only one is better-auth's, and modelName in its configuration says which: pass -" + kind + "-table NAME")
}

func (t *table) has(fields []string) bool { return len(t.lacks(fields)) == 0 }

func (t *table) lacks(fields []string) (lacking []string) {
	for _, f := range fields {
		if _, ok := t.columns[f]; !ok {
			lacking = append(lacking, f)
		}
	}
	return lacking
}

// fingerprint changes if the adapter must be created again: it covers the names, columns and types that the adapter
// reads.
func (a authTables) fingerprint() string {
	h := sha256.New()
	for _, part := range []struct {
		t      table
		fields []string
	}{{a.User, userFields}, {a.Session, sessionFields}} {
		fmt.Fprintln(h, part.t.Table()+part.t.heir)
		for _, f := range part.fields {
			fmt.Fprintln(h, f, part.t.columns[f].name, part.t.columns[f].typ)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// zoneless returns the name of a time column without a zone, or "".
func (a authTables) zoneless() string {
	for _, t := range []table{a.User, a.Session} {
		for _, f := range []string{"banexpires", "createdat", "updatedat", "expiresat"} {
			if t.columns[f].typ == "timestamp without time zone" {
				return t.Table() + "." + t.columns[f].name
			}
		}
	}
	return ""
}
