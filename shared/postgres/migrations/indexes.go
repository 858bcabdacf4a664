package migrations

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// indexedSQL tells whether the table $1, $2 has a unique index on its column $3 alone. A view has none.
const indexedSQL = `
SELECT c.relkind = 'v'
    OR EXISTS (SELECT FROM pg_index AS i
                WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum)
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = c.oid
 WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = $3`

// unindexed is a note about the unique indexes that better-auth makes and that are missing. It is empty if there are all of them.
func (a adapter) unindexed(ctx context.Context, q Querier) (note string, err error) {
	var all []string
	for _, lookup := range []struct {
		t      table
		fields []string
	}{{a.User, []string{"id", "email", "username"}}, {a.Session, []string{"id", "token"}}} {
		for _, field := range lookup.fields {
			c, ok := lookup.t.columns[field]
			if !ok {
				continue
			}
			rows, err := q.Query(ctx, indexedSQL, lookup.t.schema, lookup.t.name, c.name)
			if err != nil {
				return "", err
			}
			if indexed, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[bool]); err != nil {
				return "", err
			} else if !indexed {
				all = append(all, fmt.Sprintf("CREATE UNIQUE INDEX ON %s (%s)", lookup.t.Table(), lookup.t.Name(field)))
			}
		}
	}
	if len(all) == 0 {
		return "", nil
	}
	return "note: unique indexes that better-auth makes are missing, so lookups may read the whole table or find several rows: " + strings.Join(all, "; "), nil
}
