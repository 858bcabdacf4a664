package migrations

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// hiddenSQL finds a table with row-level security that hides rows from the role that reads it: the owner of game.users, and behind
// a view of the web application the owner of that view. A policy that shows only some rows cannot be told from one that hides
// rows, so only USING (true) counts. It reads only catalogs, so the service's rights are enough for it.
const hiddenSQL = `
WITH RECURSIVE reads (rel, role) AS (
	SELECT c.oid, v.relowner
	  FROM pg_class AS c
	  JOIN pg_namespace AS n ON n.oid = c.relnamespace
	  JOIN pg_class AS v ON v.oid = 'game.users'::regclass
	 WHERE n.nspname = $1
	   AND c.relname = $2
	UNION
	SELECT d.refobjid, CASE WHEN c.reloptions && ARRAY['security_invoker=true', 'security_invoker=on', 'security_invoker=1'] THEN reads.role ELSE c.relowner END
	  FROM reads
	  JOIN pg_class AS c ON c.oid = reads.rel AND c.relkind = 'v'
	  JOIN pg_rewrite AS w ON w.ev_class = c.oid
	  JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
)
SELECT owner.rolname, c.relforcerowsecurity, n.nspname, c.relname
  FROM reads
  JOIN pg_class AS c ON c.oid = reads.rel
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_roles AS owner ON owner.oid = reads.role
 WHERE c.relrowsecurity
   AND NOT (owner.rolsuper OR owner.rolbypassrls)
   AND (c.relforcerowsecurity OR NOT pg_has_role(owner.oid, c.relowner, 'USAGE'))
   AND EXISTS (SELECT FROM unnest($3::text[]) AS needed (cmd)
        WHERE NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd::text IN ('*', needed.cmd)
                             AND pg_get_expr(p.polqual, c.oid) = 'true'
                             AND (needed.cmd <> 'w' OR coalesce(pg_get_expr(p.polwithcheck, c.oid), 'true') = 'true')
                             AND (0 = ANY (p.polroles) OR EXISTS (SELECT FROM unnest(p.polroles) AS r (id) WHERE r.id <> 0 AND pg_has_role(owner.oid, r.id, 'USAGE'))))
           OR EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid AND NOT p.polpermissive AND p.polcmd::text IN ('*', needed.cmd)))`

// proveVisible returns an error if row-level security hides rows.
func (a authTables) proveVisible(ctx context.Context, q Querier) error {
	for _, part := range []struct {
		t        table
		commands []string // of pg_policy
		policy   string
	}{{a.User, []string{"r"}, "SELECT"}, {a.Session, []string{"r", "w"}, "ALL"}} {
		rows, err := q.Query(ctx, a.own.In(hiddenSQL), part.t.schema, part.t.name, part.commands)
		if err != nil {
			return err
		}
		type hidden struct {
			Owner  string `db:"rolname"`
			Forced bool   `db:"relforcerowsecurity"`
			Schema string `db:"nspname"`
			Table  string `db:"relname"`
		}
		found, err := pgx.CollectRows(rows, pgx.RowToStructByName[hidden])
		if err != nil {
			return err
		}
		if len(found) == 0 {
			continue
		}
		f := found[0]
		role, place := pgx.Identifier{f.Owner}.Sanitize(), pgx.Identifier{f.Schema, f.Table}.Sanitize()
		advice := fmt.Sprintf("ALTER ROLE %s BYPASSRLS, or CREATE POLICY database_service ON %s FOR %s TO %s USING (true)", role, place, part.policy, role)
		if !f.Forced && place == part.t.Table() {
			advice = "run the migration as the owner of the table, or: " + advice
		}
		return right(fmt.Sprintf("row-level security hides rows of %s from the role %s, with whose rights the service reads it; %s", place, role, advice))
	}
	return nil
}
