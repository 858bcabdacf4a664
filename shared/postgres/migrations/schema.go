package migrations

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ownSQL tells why the schema $1 may be refused. The functions of the numbered files name their schema in their text, and no run
// makes them again.
const ownSQL = `
SELECT EXISTS (SELECT FROM pg_namespace AS n WHERE n.nspname = $1) AS there,
       EXISTS (SELECT FROM pg_get_keywords() AS k WHERE k.word = $1 AND k.catcode IN ('R', 'T')) AS reserved,
       EXISTS (SELECT FROM pg_proc AS p
                 JOIN pg_namespace AS n ON n.oid = p.pronamespace
                WHERE n.nspname = $1 AND p.proname = 'log_truncate' AND strpos(p.prosrc, ' ' || $1 || '.cache_change') = 0) AS renamed`

// idTypeSQL is the type in which the schema $1 stores ids of users. The numbered files set it once.
const idTypeSQL = `
SELECT replace(format_type(a.atttypid, NULL), '"', '')
  FROM pg_attribute AS a
  JOIN pg_class AS c ON c.oid = a.attrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = $1 AND c.relname = 'character' AND a.attname = 'user_id'`

// checkIDType refuses ids of users that have another type than in the earlier runs. Only the operator can know how the web
// application has changed the ids of users that have characters.
func (a adapter) checkIDType(ctx context.Context, q Querier) error {
	rows, err := q.Query(ctx, idTypeSQL, a.own.String())
	if err != nil {
		return err
	}
	before, err := pgx.CollectRows(rows, pgx.RowTo[sqlType])
	if now := a.UserIDType(); err == nil && len(before) > 0 && before[0] != now {
		own, change := a.own.String(), " TYPE "+now.SQL()+" USING %[1]s::text::"+now.SQL()
		column := func(name string) string { return "ALTER COLUMN " + name + strings.ReplaceAll(change, "%[1]s", name) }
		return fmt.Errorf("%[1]s.%[2]s is of type %[3]s, but the schema %[4]s stores ids of users as %[5]s; if each user has kept its id, run this as its owner, and then migrate again: "+
			"DROP VIEW IF EXISTS %[4]s.users; DROP FUNCTION %[4]s.user_id(text) CASCADE; DROP FUNCTION %[4]s.session_by_token_as(text, boolean), %[4]s.session_by_token(text), %[4]s.session_by_id(text), %[4]s.sessions_of(%[5]s, int); "+
			"ALTER TABLE %[4]s.character %[6]s; ALTER TABLE %[4]s.audit %[6]s, %[7]s; ALTER TABLE %[4]s.note %[6]s",
			a.User.Table(), a.User.Name("id"), now, own, before[0], column("user_id"), column("from_user_id"))
	}
	return err
}

// checkSchema refuses a schema that a run cannot create or change.
func (at state) checkSchema(ctx context.Context, q Querier) error {
	name := at.own.String()
	rows, err := q.Query(ctx, ownSQL, name)
	if err != nil {
		return err
	}
	type schema struct{ There, Reserved, Renamed bool }
	own, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[schema])
	switch {
	case err != nil:
		return err
	case own.Reserved:
		return fmt.Errorf("%s is a reserved word of PostgreSQL: choose another name for the service's schema", name)
	case own.There && at.version == 0:
		return fmt.Errorf("the schema %s is there already, and this program has not made it: choose another name with -schema, or drop it if it is empty", name)
	case own.Renamed:
		return fmt.Errorf("the schema %s was renamed, and its functions still name the old one: rename it back; a new name needs a new schema", name)
	}
	return nil
}

// Trigger returns the name of a trigger on the user table, which may have the triggers of several schemas. It is never longer
// than PostgreSQL's names.
func (a adapter) Trigger(what string) string {
	name, own := "database_service_log_"+what, a.own.String()
	if a.own.IsDefault() {
		return name
	}
	if len(own) > 32 {
		sum := sha256.Sum256([]byte(own))
		own = own[:23] + "_" + hex.EncodeToString(sum[:4])
	}
	return name + "_" + own
}
