package migrations

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/osirose-new/database-service/shared/postgres"
)

// lackingSQL lists the rights that the role $1 lacks, or the current role if $1 is empty, as "SELECT ON game.users". It
// finds the objects without the right to use their schema. A missing object is not listed.
const lackingSQL = `
WITH role AS (
	SELECT CASE WHEN $1 = '' THEN quote_ident(current_user)::regrole ELSE to_regrole(quote_ident($1)) END::oid AS id
), own AS (
	SELECT oid FROM pg_namespace WHERE nspname = 'game'
), needed (n, privilege, granted) AS (
	SELECT 1, 'USAGE ON SCHEMA game', has_schema_privilege(role.id, own.oid, 'USAGE') FROM role, own
	UNION ALL
	SELECT 2, p.privilege || ' ON game.' || c.relname, has_table_privilege(role.id, c.oid, p.privilege)
	  FROM role, own, pg_class AS c,
	       (VALUES ('users', 'SELECT'), ('migration', 'SELECT'), ('adapter', 'SELECT'), ('cache_change', 'SELECT'), ('cache_key', 'SELECT'),
	               ('character', 'SELECT')) AS p (name, privilege)
	 WHERE c.relnamespace = own.oid AND c.relname = p.name
	UNION ALL
	SELECT 2, w.privilege || ' (' || string_agg(w.col, ', ') || ') ON game.character', false
	  FROM role, own, pg_class AS c, (SELECT 'INSERT', col FROM unnest($2::text[]) AS col UNION ALL SELECT 'UPDATE', col FROM unnest($3::text[]) AS col) AS w (privilege, col),
	       pg_attribute AS a
	 WHERE c.relnamespace = own.oid AND c.relname = 'character' AND a.attrelid = c.oid AND a.attname = w.col
	   AND has_column_privilege(role.id, c.oid, a.attnum, w.privilege) IS NOT TRUE
	 GROUP BY w.privilege
	UNION ALL
	SELECT 3, 'EXECUTE ON FUNCTION ' || f.oid::regprocedure, has_function_privilege(role.id, f.oid, 'EXECUTE')
	  FROM role, own, pg_proc AS f
	 WHERE f.pronamespace = own.oid AND f.prorettype <> 'trigger'::regtype AND f.proname NOT IN ('forget_characters', 'sessions_of')
	    OR f.pronamespace = 'pg_catalog'::regnamespace AND f.proname IN ('pg_control_system', 'pg_control_checkpoint', 'pg_control_recovery')
)
SELECT privilege FROM needed WHERE granted IS NOT TRUE ORDER BY n, privilege`

// serviceRoleSQL finds the role with the service's rights by what is granted to it, because game.adapter may be unreadable.
const serviceRoleSQL = `
SELECT r.rolname AS role, pg_has_role(r.oid, 'MEMBER') AS member, pg_has_role(r.oid, 'USAGE') AS inherits
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace,
       aclexplode(c.relacl) AS a
  JOIN pg_roles AS r ON r.oid = a.grantee
 WHERE n.nspname = 'game'
   AND c.relname NOT IN ('audit', 'note') -- the service has no rights on them
   AND a.grantee <> c.relowner
   AND NOT EXISTS (SELECT FROM pg_class AS v WHERE v.relnamespace = n.oid AND v.relname = 'users' AND v.relowner = a.grantee)
 GROUP BY r.oid, r.rolname
 ORDER BY count(*) DESC, r.rolname = $1 DESC
 LIMIT 1`

func lacking(ctx context.Context, q Querier, own postgres.Schema, role string) ([]string, error) {
	rows, err := q.Query(ctx, own.In(lackingSQL), role, insertColumns, updateColumns)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// right is an error about a missing right.
type right string

func (r right) Error() string        { return string(r) }
func (r right) Is(target error) bool { return target == ErrRights }

const login = "the service's login" // its name is not for every reader of /readyz

// checkRights returns an error if the current role lacks a right.
func checkRights(ctx context.Context, q Querier, own postgres.Schema) error {
	lacks, err := lacking(ctx, q, own, "")
	if err != nil || len(lacks) == 0 {
		return err
	}
	rows, err := q.Query(ctx, own.In(serviceRoleSQL), DefaultRole)
	if err != nil {
		return err
	}
	type service struct {
		Role             string
		Member, Inherits bool
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[service])
	if err != nil {
		return err
	}
	s := service{Role: DefaultRole, Member: true, Inherits: true}
	if len(found) > 0 {
		s = found[0]
	}
	role := word(s.Role)
	switch {
	case !s.Member:
		return right(fmt.Sprintf("%s is not a member of the role %s, which has the service's rights: GRANT %s TO %s", login, role, role, login))
	case !s.Inherits:
		return right(fmt.Sprintf("%s does not inherit the rights of the role %s: ALTER ROLE %s INHERIT, and from PostgreSQL 16 on also GRANT %s TO %s WITH INHERIT TRUE",
			login, role, login, role, login))
	}
	advice := ""
	if len(ours(lacks)) > 0 {
		advice = "; or " + again(own).Error()
	}
	return right(fmt.Sprintf("the role %s lacks rights: %s%s", role, grants(lacks, role), advice))
}

// ours returns the rights that the adapter grants.
func ours(rights []string) []string {
	return slices.DeleteFunc(slices.Clone(rights), func(r string) bool { return strings.HasPrefix(r, "EXECUTE ON FUNCTION pg_control_") })
}

// grants lists the statements that grant rights, at most three.
func grants(rights []string, role string) string {
	const most = 3
	var all []string
	for i, r := range rights {
		if i == most {
			all = append(all, fmt.Sprintf("and %d more", len(rights)-most))
			break
		}
		all = append(all, "GRANT "+r+" TO "+role)
	}
	return strings.Join(all, "; ")
}

var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// word quotes a name if it needs quotes.
func word(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return pgx.Identifier{name}.Sanitize()
}
