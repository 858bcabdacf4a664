package migrations

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The methods below are what the SQL templates call.

// Table is the qualified, quoted name.
func (t table) Table() string { return pgx.Identifier{t.schema, t.name}.Sanitize() }

// Name is a column's quoted name.
func (t table) Name(field string) string { return pgx.Identifier{t.columns[field].name}.Sanitize() }

func (t table) ref(field string) string { return t.alias + "." + t.Name(field) }

// Text reads a column as text; a missing one is NULL.
func (t table) Text(field string) string {
	c, ok := t.columns[field]
	switch {
	case !ok:
		return "NULL::text"
	case c.typ == "text":
		return t.ref(field)
	}
	return t.ref(field) + "::text"
}

// Bool reads a column as boolean; a missing one is NULL.
func (t table) Bool(field string) string {
	c, ok := t.columns[field]
	switch {
	case !ok:
		return "NULL::boolean"
	case c.typ == "boolean":
		return t.ref(field)
	}
	return t.ref(field) + "::boolean"
}

// Time reads a column as timestamptz; one without a zone holds the wall clock of the configured zone.
func (t table) Time(field string) string {
	c, ok := t.columns[field]
	switch {
	case !ok:
		return "NULL::timestamptz"
	case c.typ == "timestamp without time zone":
		return "(" + t.ref(field) + " AT TIME ZONE " + literal(t.zone) + ")"
	}
	return t.ref(field)
}

// FromTZ turns a timestamptz expression into the column's type.
func (t table) FromTZ(field, expression string) string {
	if t.columns[field].typ == "timestamp without time zone" {
		return expression + " AT TIME ZONE " + literal(t.zone)
	}
	return expression
}

// adapter is the data of the templates.
type adapter struct {
	authTables
	Role, RoleName string // quoted for SQL, and as it is
	UserTrigger    bool
	AdapterVersion int
	Fingerprint    string
	AuthSchema     string
}

// Literal quotes a string.
func (adapter) Literal(s string) string { return literal(s) }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// UserIDType is the type of user ids; ours refer to them in the same type.
func (a adapter) UserIDType() string { return a.User.columns["id"].typ }

// UserIDCast turns the text expression into a user id, NULL where it is not the form that the column prints.
func (a adapter) UserIDCast(expression string) string { return cast(a.UserIDType(), expression) }

// SessionIDCast does the same for a session id.
func (a adapter) SessionIDCast(expression string) string {
	return cast(a.Session.columns["id"].typ, expression)
}

// Nested CASEs, since AND does not promise an order and a cast of "abc" would fail the statement.
func cast(typ, e string) string {
	switch typ {
	case "uuid":
		return fmt.Sprintf("CASE WHEN %s ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN %s::uuid END", e, e)
	case "integer":
		return fmt.Sprintf("CASE WHEN %s ~ '^[1-9][0-9]{0,9}$' THEN CASE WHEN %s::bigint <= 2147483647 THEN %s::integer END END", e, e, e)
	case "bigint":
		return fmt.Sprintf("CASE WHEN %s ~ '^[1-9][0-9]{0,17}$' THEN %s::bigint END", e, e)
	case "text":
		return e
	}
	return e + "::" + typ
}

// SerialSessionIDs says that a session id is a number that anybody can count up to.
func (a adapter) SerialSessionIDs() bool {
	typ := a.Session.columns["id"].typ
	return typ == "integer" || typ == "bigint"
}

// Login is what a user is looked up by: the username, or the name where the username plugin is not installed.
func (a adapter) Login() string {
	if a.User.has([]string{"username"}) {
		return a.User.Text("username")
	}
	return "lower(" + a.User.Text("name") + ")"
}

// SessionColumns is the select list of the session functions.
func (a adapter) SessionColumns() string {
	s := a.Session
	return strings.Join([]string{
		s.Text("id"), s.ref("userid"), s.Time("createdat"), s.Time("updatedat"), s.Time("expiresat"),
		s.Time("expiresat") + " > now()",
		"greatest(0, floor(extract(epoch FROM " + s.Time("expiresat") + " - now())))::bigint",
		s.Text("ipaddress"), s.Text("useragent"), s.Text("impersonatedby") + " IS NOT NULL",
	}, ", ")
}
