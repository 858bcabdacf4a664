package migrations

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// unindexedSQL returns the kind of index that the table $1, $2 lacks on its column $3, or "". A view has none, and a partitioned table
// can have few that are unique.
const unindexedSQL = `
SELECT CASE WHEN c.relkind = 'v' OR EXISTS (SELECT FROM pg_index AS i
                WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = a.attnum
                  AND (i.indisunique AND i.indnkeyatts = 1 OR c.relkind = 'p')) THEN ''
            WHEN c.relkind = 'p' THEN 'INDEX'
            ELSE 'UNIQUE INDEX' END
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
			rows, err := q.Query(ctx, unindexedSQL, lookup.t.schema, lookup.t.name, c.name)
			if err != nil {
				return "", err
			}
			if kind, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string]); err != nil {
				return "", err
			} else if kind != "" {
				all = append(all, fmt.Sprintf("CREATE %s ON %s (%s)", kind, lookup.t.Table(), lookup.t.Name(field)))
			}
		}
	}
	if len(all) == 0 {
		return "", nil
	}
	return "note: indexes that better-auth makes are missing, so lookups may read the whole table or find several rows: " + strings.Join(all, "; "), nil
}
