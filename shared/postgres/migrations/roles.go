package migrations

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The columns of game.character that the service and the purge may write. All others are set by the database, or once.
var (
	insertColumns = []string{"user_id", "slot", "name", "level", "job", "money", "looks", "stats", "position", "equipment", "inventory", "skills", "extra",
		"request_id", "request_hash"}
	updateColumns = append([]string{"level", "job", "money", "looks", "stats", "position", "equipment", "inventory", "skills", "extra", "play_seconds", "last_played_at",
		"last_save_id", "last_save_version", "save_hash", "save_hash_version", "delete_at"}, finishColumns...)
	finishColumns = []string{"deleted_at", "version", "updated_at"} // of a character whose deadline has passed
	staffColumns  = []string{"user_id", "name", "slot"}             // beside the service's
	auditColumns  = []string{"who", "action", "user_id", "from_user_id", "character_id", "reason", "before", "after", "request_id", "request_hash"}
	noteColumns   = []string{"who", "user_id", "text"}
)

// InsertColumns and the next ones are for GRANT.
func (adapter) InsertColumns() string { return strings.Join(insertColumns, ", ") }
func (adapter) UpdateColumns() string { return strings.Join(updateColumns, ", ") }
func (adapter) FinishColumns() string { return strings.Join(finishColumns, ", ") }
func (adapter) StaffColumns() string  { return strings.Join(staffColumns, ", ") }
func (adapter) AuditColumns() string  { return strings.Join(auditColumns, ", ") }
func (adapter) NoteColumns() string   { return strings.Join(noteColumns, ", ") }

const (
	purgeSuffix   = "_purge"
	staffSuffix   = "_staff"
	ownerSuffix   = "_owner"
	maxRoleLength = 63 - len(ownerSuffix)
)

// roles are the group roles beside the service's. No role can log in.
type roles struct {
	OwnerName string // owns the view and the SECURITY DEFINER functions. Empty: the role that migrates owns them
	PurgeName string // may delete the rows of characters that are long gone. Empty: no role may
	StaffName string // may do what StaffService does beside the service's. Empty: no role may
	lacksUse  string // how to run this again so that the owner's role owns them
	member    bool   // of the owner's role, or superuser
	creates   bool   // may create roles
}

// Owner returns the owner for SQL.
func (r roles) Owner() string {
	if r.OwnerName == "" {
		return "CURRENT_USER"
	}
	return pgx.Identifier{r.OwnerName}.Sanitize()
}

// Purge returns the purge's role for SQL.
func (r roles) Purge() string { return pgx.Identifier{r.PurgeName}.Sanitize() }

// Staff returns the role of StaffService for SQL.
func (r roles) Staff() string { return pgx.Identifier{r.StaffName}.Sanitize() }

// rolesSQL tells what the current role can do with the roles $1 (owner), $2 (purge) and $6 (staff). The tables are "schema.table" as two
// arrays ($3, $4); $5 are the schemas that the owner must use.
const rolesSQL = `
SELECT me.rolname AS me, me.rolsuper AS super, me.rolsuper OR me.rolcreaterole AS creates,
       o.oid IS NOT NULL AS owner_there, p.oid IS NOT NULL AS purge_there, to_regrole(quote_ident($6)) IS NOT NULL AS staff_there, coalesce(o.rolcanlogin, false) AS owner_logs_in,
       o.oid IS NOT NULL AND pg_has_role(me.oid, o.oid, 'USAGE') AS member,
       NOT EXISTS (SELECT FROM unnest($3::text[], $4::text[]) AS t (schema, name)
                     JOIN pg_namespace AS n ON n.nspname = t.schema
                     JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name
                    WHERE NOT pg_has_role(me.oid, c.relowner, 'USAGE'))
       AND NOT EXISTS (SELECT FROM pg_namespace AS n
                        WHERE n.nspname = ANY ($5)
                          AND NOT has_schema_privilege('public', n.oid, 'USAGE')
                          AND NOT pg_has_role(me.oid, n.nspowner, 'USAGE')) AS grants,
       NOT coalesce(o.rolbypassrls, false)
       AND EXISTS (SELECT FROM unnest($3::text[], $4::text[]) AS t (schema, name)
                     JOIN pg_namespace AS n ON n.nspname = t.schema
                     JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.name
                    WHERE c.relrowsecurity) AS row_security
  FROM pg_roles AS me
  LEFT JOIN pg_roles AS o ON o.rolname = $1
  LEFT JOIN pg_roles AS p ON p.rolname = $2
 WHERE me.rolname = current_user`

// inspectRoles finds out which roles a run can use. What the current role may not do is left out, so that a role with few
// rights can migrate, for example on a managed server.
func (a adapter) inspectRoles(ctx context.Context, q Querier) (roles, error) {
	if len(a.RoleName) > maxRoleLength {
		return roles{}, fmt.Errorf("-role %s: a name has at most %d bytes, because %s, %s and %s are added to it", a.RoleName, maxRoleLength, purgeSuffix, staffSuffix, ownerSuffix)
	}
	owner, purge, staff := a.RoleName+ownerSuffix, a.RoleName+purgeSuffix, a.RoleName+staffSuffix
	rows, err := q.Query(ctx, rolesSQL, owner, purge, []string{a.User.schema, a.Session.schema}, []string{a.User.name, a.Session.name}, a.ownerSchemas(), staff)
	if err != nil {
		return roles{}, err
	}
	type able struct {
		Me                                                              string
		Super, Creates, OwnerThere, PurgeThere, StaffThere, OwnerLogsIn bool
		Member, Grants, RowSecurity                                     bool
	}
	can, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[able])
	if err != nil {
		return roles{}, err
	}
	r := roles{member: can.Member || can.Super, creates: can.Creates}
	if can.PurgeThere || can.Creates {
		r.PurgeName = purge
	}
	if can.StaffThere || can.Creates {
		r.StaffName = staff
	}
	switch me, name := word(can.Me), word(owner); {
	case can.OwnerLogsIn:
		r.lacksUse = "after ALTER ROLE " + name + " NOLOGIN"
	case can.RowSecurity:
		r.lacksUse = "after ALTER ROLE " + name + " BYPASSRLS, because better-auth's tables have row-level security"
	case !can.Grants:
		r.lacksUse = "as the owner of better-auth's tables"
	case !can.OwnerThere && !can.Creates:
		r.lacksUse = fmt.Sprintf("after CREATE ROLE %s NOLOGIN; GRANT %s TO %s", name, name, me)
	case can.OwnerThere && !r.member:
		r.lacksUse = fmt.Sprintf("after GRANT %s TO %s", name, me)
	default:
		r.OwnerName = owner
	}
	return r, nil
}

// ownerSchemas are the schemas that the owner of the functions must use: those of the tables, and of the types of an
// extension and the collation with which the functions compare.
func (a adapter) ownerSchemas() []string {
	all := []string{a.User.schema, a.Session.schema}
	for _, c := range a.Session.columns {
		if schema, citext := strings.CutSuffix(string(c.typ), ".citext"); citext {
			all = append(all, strings.ReplaceAll(strings.Trim(schema, `"`), `""`, `"`))
		}
	}
	if id := a.User.columns["id"]; id.collation != "" && id.within != "pg_catalog" {
		all = append(all, id.within)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// OwnerSchemas is for GRANT.
func (a adapter) OwnerSchemas() string {
	var all []string
	for _, s := range a.ownerSchemas() {
		all = append(all, pgx.Identifier{s}.Sanitize())
	}
	return strings.Join(all, ", ")
}

// names returns the names of the columns of fields, each once.
func (t table) names(fields []string) (all []string) {
	for _, field := range fields {
		if c, ok := t.columns[field]; ok && !slices.Contains(all, c.name) {
			all = append(all, c.name)
		}
	}
	return all
}

// roleStep is the step that creates the roles that are missing.
func (a adapter) roleStep() step {
	sql := lockTimeoutSQL + createRole(a.RoleName)
	if a.creates {
		for _, name := range []string{a.PurgeName, a.StaffName, a.OwnerName} {
			if name != "" {
				sql += createRole(name)
			}
		}
	}
	if a.OwnerName != "" && !a.member {
		sql += "DO $$ BEGIN\n\tGRANT " + a.Owner() + " TO CURRENT_USER;\nEXCEPTION WHEN unique_violation THEN NULL;\nEND $$;\n"
	}
	return step{"role " + a.Role, sql}
}

// createRole creates a group role. Roles belong to the whole server, so a run on another database may create it concurrently.
func createRole(name string) string {
	return "DO $$ BEGIN\n\tIF to_regrole(" + literal(pgx.Identifier{name}.Sanitize()) + ") IS NULL THEN CREATE ROLE " + pgx.Identifier{name}.Sanitize() + " NOLOGIN; END IF;\n" +
		"EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;\nEND $$;\n"
}

// owns returns an error if the adapter belongs to the owner's role and the current role is no member of it. before is the owner.
func (a adapter) owns(before string) error {
	if before == a.RoleName+ownerSuffix && !a.member {
		return fmt.Errorf("the view and the functions of the schema %s belong to the role %s: run this again %s, or as a superuser", a.own, word(before), a.lacksUse)
	}
	return nil
}

// note says what the roles lack. It is empty if they lack nothing.
func (r roles) note(own, role string) string {
	var all []string
	if r.OwnerName == "" {
		all = append(all, fmt.Sprintf("the view and the functions of the schema %s belong to the role that migrates. To have them belong to a role that cannot log in, run this again %s", own, r.lacksUse))
	}
	if r.PurgeName == "" {
		name := word(role + purgeSuffix)
		all = append(all, fmt.Sprintf("no role may delete characters that are long gone: run this again after CREATE ROLE %s NOLOGIN", name))
	}
	if r.StaffName == "" {
		name := word(role + staffSuffix)
		all = append(all, fmt.Sprintf("no role may use StaffService: run this again after CREATE ROLE %s NOLOGIN", name))
	}
	if len(all) == 0 {
		return ""
	}
	return "note: " + strings.Join(all, ". And ")
}

// trustedSQL tells whether the owner $1 owns the view and the SECURITY DEFINER functions, and may use the columns of the arrays
// $3 to $6 (schema, table, column, right), and whether the roles of the purge ($2) and of staff ($8) have their rights. An empty name is not
// checked.
const trustedSQL = `
WITH own AS (
	SELECT oid FROM pg_namespace WHERE nspname = 'game'
), needed AS (
	SELECT w.of, w.privilege, c.oid AS "table", a.attnum
	  FROM (SELECT $1 AS of, n.oid AS namespace, u.name, u.col, u.privilege
	          FROM unnest($3::text[], $4::text[], $5::text[], $6::text[]) AS u (schema, name, col, privilege)
	          JOIN pg_namespace AS n ON n.nspname = u.schema
	         UNION ALL SELECT $2, own.oid, 'character', u.col, 'UPDATE' FROM own, unnest($7::text[]) AS u (col)
	         UNION ALL SELECT $8, own.oid, u.name, u.col, u.privilege FROM own, unnest($9::text[], $10::text[], $11::text[]) AS u (name, col, privilege)) AS w
	  JOIN pg_class AS c ON c.relnamespace = w.namespace AND c.relname = w.name
	  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = w.col
)
SELECT NOT EXISTS (SELECT FROM unnest(ARRAY[$1, $2, $8]) AS r (name) WHERE r.name <> '' AND to_regrole(quote_ident(r.name)) IS NULL)
   AND NOT EXISTS (SELECT FROM needed JOIN pg_roles AS r ON r.rolname = needed.of
                    WHERE NOT has_column_privilege(r.oid, needed.table, needed.attnum, needed.privilege))
   AND NOT EXISTS (SELECT FROM own, pg_roles AS o
                    WHERE o.rolname = $1
                      AND (EXISTS (SELECT FROM pg_proc AS f WHERE f.pronamespace = own.oid AND f.prosecdef AND f.proowner <> o.oid)
                           OR EXISTS (SELECT FROM pg_class AS v WHERE v.relnamespace = own.oid AND v.relname = 'users' AND v.relowner <> o.oid)))
   AND NOT EXISTS (SELECT FROM own, pg_roles AS p, pg_proc AS f
                    WHERE (p.rolname = $2 AND f.proname = 'forget_characters' OR p.rolname = $8 AND f.proname = 'sessions_of') AND f.pronamespace = own.oid
                      AND NOT (has_schema_privilege(p.oid, own.oid, 'USAGE') AND has_function_privilege(p.oid, f.oid, 'EXECUTE')))`

// trusted reports whether the other roles have what the adapter gives them.
func (a adapter) trusted(ctx context.Context, q Querier) (yes bool, err error) {
	var schemas, tables, columns, rights []string
	add := func(t table, right string, names []string) {
		for _, name := range names {
			schemas, tables, columns, rights = append(schemas, t.schema), append(tables, t.name), append(columns, name), append(rights, right)
		}
	}
	add(a.User, "SELECT", a.User.names(userFields))
	add(a.Session, "SELECT", a.Session.names(sessionFields))
	add(a.Session, "UPDATE", a.Session.names([]string{"expiresat"}))
	var staffTables, staffOf, staffRights []string
	for _, of := range []struct {
		table, right string
		columns      []string
	}{
		{"character", "UPDATE", staffColumns},
		{"audit", "INSERT", auditColumns},
		{"note", "INSERT", noteColumns},
		{"audit", "SELECT", []string{"id"}},
		{"note", "SELECT", []string{"id"}},
	} {
		for _, name := range of.columns {
			staffTables, staffOf, staffRights = append(staffTables, of.table), append(staffOf, name), append(staffRights, of.right)
		}
	}
	rows, err := q.Query(ctx, a.own.In(trustedSQL), a.OwnerName, a.PurgeName, schemas, tables, columns, rights, finishColumns, a.StaffName, staffTables, staffOf, staffRights)
	if err != nil {
		return false, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowTo[bool])
}
