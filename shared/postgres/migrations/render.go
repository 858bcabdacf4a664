package migrations

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The SQL templates call the methods below.

// Table returns the qualified, quoted name.
func (t table) Table() string { return pgx.Identifier{t.schema, t.name}.Sanitize() }

// Name returns a column's quoted name.
func (t table) Name(field string) string { return pgx.Identifier{t.columns[field].name}.Sanitize() }

func (t table) ref(field string) string { return t.alias + "." + t.Name(field) }

// Text returns the expression of a column as text; NULL if the column is missing.
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

// Bool returns the expression of a column as boolean; NULL if the column is missing.
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

// Time returns the expression of a column as timestamptz. A column without a zone has times of the configured zone.
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

// FromTZ converts a timestamptz expression to the column's type.
func (t table) FromTZ(field, expression string) string {
	if t.columns[field].typ == "timestamp without time zone" {
		return expression + " AT TIME ZONE " + literal(t.zone)
	}
	return expression
}

// adapter is the data of the templates.
type adapter struct {
	authTables
	Role, RoleName string // quoted for SQL, and unquoted
	UserTrigger    bool
	AdapterVersion int
	Fingerprint    string
	AuthSchema     string
}

// Literal quotes a string.
func (adapter) Literal(s string) string { return literal(s) }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// UserIDType returns the type of user ids. The service's tables store user ids in the same type.
func (a adapter) UserIDType() string { return a.User.columns["id"].typ }

// UserIDCast converts a text expression to a user id, or to NULL if it is not in the form that the column prints.
func (a adapter) UserIDCast(expression string) string { return cast(a.UserIDType(), expression) }

// SessionIDCast does the same for a session id.
func (a adapter) SessionIDCast(expression string) string {
	return cast(a.Session.columns["id"].typ, expression)
}

// cast nests CASEs, because AND does not guarantee an order and a cast of "abc" would fail the statement.
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

// SerialSessionIDs reports whether session ids are serial numbers, which can be guessed.
func (a adapter) SerialSessionIDs() bool {
	typ := a.Session.columns["id"].typ
	return typ == "integer" || typ == "bigint"
}

// Login returns the expression of the login: the username, or the name if the username plugin is not installed.
func (a adapter) Login() string {
	if a.User.has([]string{"username"}) {
		return a.User.Text("username")
	}
	return "lower(" + a.User.Text("name") + ")"
}

// SessionColumns returns the select list of the session functions.
func (a adapter) SessionColumns() string {
	s := a.Session
	return strings.Join([]string{
		s.Text("id"), s.ref("userid"), s.Time("createdat"), s.Time("updatedat"), s.Time("expiresat"),
		s.Time("expiresat") + " > now()",
		"greatest(0, floor(extract(epoch FROM " + s.Time("expiresat") + " - now())))::bigint",
		s.Text("ipaddress"), s.Text("useragent"), s.Text("impersonatedby") + " IS NOT NULL",
	}, ", ")
}
