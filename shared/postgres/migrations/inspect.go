package migrations

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Querier is a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// table is one of better-auth's tables in this database. Columns are found by their name without case and underscores,
// because better-auth can name a field emailVerified, email_verified or emailverified.
type table struct {
	schema, name string
	columns      map[string]column
	alias, zone  string
}

type column struct {
	name string
	typ  sqlType
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
// domain is its base type. Types of extensions have their schema, because search_path differs between roles.
const catalogSQL = `
SELECT n.nspname AS schema, c.relname AS table, a.attname AS column,
       CASE WHEN bn.nspname = 'pg_catalog' THEN format_type(b.oid, NULL) ELSE format('%I.%I', bn.nspname, b.typname) END AS type
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type AS t ON t.oid = a.atttypid
  JOIN pg_type AS b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
  JOIN pg_namespace AS bn ON bn.oid = b.typnamespace
 WHERE c.relkind IN ('r', 'p')
   AND lower(c.relname) IN ('user', 'users', 'session', 'sessions')
   AND n.nspname NOT IN ('game', 'information_schema')
   AND n.nspname !~ '^pg_'
 ORDER BY n.nspname, c.relname, a.attnum`

// authTables are better-auth's two tables that the service reads.
type authTables struct {
	User, Session table
}

// findAuth finds better-auth's tables, in authSchema or, if that is empty, in any schema.
func findAuth(ctx context.Context, q Querier, authSchema string) (authTables, error) {
	rows, err := q.Query(ctx, catalogSQL)
	if err != nil {
		return authTables{}, err
	}
	type row struct {
		Schema, Table, Column string
		Type                  sqlType
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	if err != nil {
		return authTables{}, err
	}
	found := map[string]*table{}
	for _, r := range all {
		if authSchema != "" && r.Schema != authSchema {
			continue
		}
		t := found[r.Schema+"."+r.Table]
		if t == nil {
			t = &table{schema: r.Schema, name: r.Table, columns: map[string]column{}}
			found[r.Schema+"."+r.Table] = t
		}
		t.columns[strings.ReplaceAll(strings.ToLower(r.Column), "_", "")] = column{r.Column, r.Type}
	}
	return pick(found)
}

func pick(found map[string]*table) (authTables, error) {
	user, err := pickTable(found, "user", userCore)
	if err != nil {
		return authTables{}, err
	}
	if user == nil {
		return authTables{}, missing(`better-auth's user table is missing: there is no table "user" or "users" with the ` +
			`columns ` + strings.Join(userCore, ", ") + `; let the web application run better-auth's migration first`)
	}
	session, err := pickTable(found, "session", sessionCore)
	if err != nil {
		return authTables{}, err
	}
	if session == nil {
		return authTables{}, missing(`better-auth's session table is missing: with a secondary storage better-auth keeps ` +
			`sessions there alone; set session.storeSessionInDatabase: true in the web application and run its migration`)
	}
	user.alias, session.alias = "u", "s"
	return authTables{User: *user, Session: *session}, nil
}

// missing is an error that the web application's migration, followed by this one, fixes.
type missing string

func (m missing) Error() string        { return string(m) }
func (m missing) Is(target error) bool { return target == ErrSchema }

func pickTable(found map[string]*table, kind string, core []string) (*table, error) {
	var fit []*table
	for _, key := range slices.Sorted(maps.Keys(found)) {
		t := found[key]
		if strings.TrimSuffix(strings.ToLower(t.name), "s") == kind && t.has(core) {
			fit = append(fit, t)
		}
	}
	switch len(fit) {
	case 0:
		return nil, nil
	case 1:
		return fit[0], nil
	}
	return nil, ambiguous(kind, fit)
}

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
	return missing(found + "only one is better-auth's, and modelName in its configuration says which: move the other one out of its schema " +
		"(ALTER TABLE ... SET SCHEMA ...), and run this again with -auth-schema and the schema of better-auth's tables")
}

func (t *table) has(fields []string) bool {
	for _, f := range fields {
		if _, ok := t.columns[f]; !ok {
			return false
		}
	}
	return true
}

// fingerprint changes if the adapter must be created again: it covers the names, columns and types that the adapter
// reads.
func (a authTables) fingerprint() string {
	h := sha256.New()
	for _, part := range []struct {
		t      table
		fields []string
	}{{a.User, userFields}, {a.Session, sessionFields}} {
		fmt.Fprintln(h, part.t.Table())
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
