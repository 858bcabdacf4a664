package migrations

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

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
