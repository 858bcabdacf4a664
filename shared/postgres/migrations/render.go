package migrations

import (
	"cmp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The SQL templates call the methods below.

// Table returns the qualified, quoted name.
func (t table) Table() string { return pgx.Identifier{t.schema, t.name}.Sanitize() }

// IsView reports whether it is a view: views cannot have the triggers.
func (t table) IsView() bool { return t.view }

// Name returns a column's quoted name.
func (t table) Name(field string) string { return pgx.Identifier{t.columns[field].name}.Sanitize() }

func (t table) ref(field string) string { return t.alias + "." + t.Name(field) }

// base returns the expression of a column in its base type: a function that returns text cannot return a domain over it.
func (t table) base(field string) string {
	if c := t.columns[field]; c.domain {
		return t.ref(field) + "::" + c.typ.SQL()
	}
	return t.ref(field)
}

// Text returns the expression of a column as text; NULL if the column is missing.
func (t table) Text(field string) string {
	c, ok := t.columns[field]
	switch {
	case !ok:
		return "NULL::text"
	case c.typ == "text" && !c.domain:
		return t.ref(field)
	case c.typ == "inet" || c.typ == "cidr":
		return "host(" + t.ref(field) + ")" // ::text appends the length of the network
	}
	return t.ref(field) + "::text"
}

// Bool returns the expression of a column as boolean; NULL if the column is missing. A time means true, because schemas
// that were made for other libraries store when an e-mail was verified.
func (t table) Bool(field string) string {
	c, ok := t.columns[field]
	switch {
	case !ok:
		return "NULL::boolean"
	case c.typ == "boolean":
		return t.base(field)
	case c.typ.time():
		return "(" + t.ref(field) + " IS NOT NULL)"
	}
	return "(" + t.ref(field) + " <> 0)"
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
	return t.base(field)
}

// bounded returns a time as a caller can get it: the years 1 to 9999. expression is not NULL. The literals take its type: if
// the column loses its time zone later, the function must fail and not convert by the zone of the session.
func bounded(expression string) string {
	return "greatest('0001-01-01 00:00:00+00', least(" + expression + ", '9999-12-31 23:59:59+00'))"
}

// Past returns the expression of a time that something happened; NULL if it is infinite.
func (t table) Past(field string) string {
	return "CASE WHEN isfinite(" + t.Time(field) + ") THEN " + bounded(t.Time(field)) + " END"
}

// End returns the expression of a time that something ends; NULL if it never ends.
func (t table) End(field string) string {
	return "CASE WHEN " + t.Time(field) + " < 'infinity' THEN " + bounded(t.Time(field)) + " END"
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
	Names          Names
	Settings
	roles
}

// Literal quotes a string.
func (adapter) Literal(s string) string { return literal(s) }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// UserIDType returns the type of user ids. The service's tables store user ids in the same type.
func (a adapter) UserIDType() sqlType { return a.User.columns["id"].typ }

// UserIDCast converts a text expression to a user id, or to NULL if it is not in the form that the column prints.
func (a adapter) UserIDCast(expression string) string { return a.UserIDType().fromText(expression) }

// SessionUserID returns the expression of a session's user id in the type of user ids: the two columns may differ. It is
// NULL for a value that is no user id.
func (a adapter) SessionUserID() string {
	c, id := a.Session.columns["userid"], a.User.columns["id"]
	e := a.Session.base("userid")
	if c.typ != id.typ {
		text := a.Session.Text("userid")
		if c.loose {
			text = "(" + text + ` COLLATE "C")` // patterns need one in which equal texts are the same
		}
		e = a.UserIDCast(text)
	}
	if id.typ.text() && c.collation != id.collation { // PostgreSQL cannot compare two collations
		e = "(" + e + " COLLATE " + cmp.Or(id.collation, `pg_catalog."default"`) + ")"
	}
	return e
}

// Equals returns the condition that a column equals a text expression. It compares in the column's type, so that an index
// on the column serves it.
func (t table) Equals(field, expression string) string {
	return t.columns[field].typ.Equals(t.ref(field), expression)
}

// SerialSessionIDs reports whether session ids are serial numbers, which can be guessed.
func (a adapter) SerialSessionIDs() bool {
	typ := a.Session.columns["id"].typ
	return typ == "integer" || typ == "bigint"
}

// loginField is the field that the service looks up as username.
func (a adapter) loginField() string {
	if a.User.has([]string{"username"}) {
		return "username"
	}
	return "name"
}

// Login returns the expression of the login: the username, or the name if the username plugin is not installed.
func (a adapter) Login() string {
	if a.loginField() == "username" {
		return a.User.Text("username")
	}
	return "lower(" + a.User.Text("name") + ")"
}

// LoginKey is Login in the type of the column, for comparisons.
func (a adapter) LoginKey() string {
	if a.loginField() == "username" {
		return a.User.ref("username")
	}
	return a.Login()
}

// LoginType is the type of LoginKey.
func (a adapter) LoginType() sqlType {
	if a.loginField() == "username" {
		return a.User.columns["username"].typ
	}
	return "text"
}

// LoginCollated and EmailCollated return the argument of a lookup in the collation of the column: the body of a function in SQL
// has the collations of its arguments' types, and an index serves only its own.
func (a adapter) LoginCollated() string {
	return collated("login_key", a.User.columns[a.loginField()].collation)
}

// LoginStarts returns the condition that a login begins with an argument. starts_with refuses a collation in which different texts
// are equal.
func (a adapter) LoginStarts() string {
	if a.User.columns[a.loginField()].loose {
		return `starts_with(login_key::text COLLATE "C", ` + a.LoginArgument() + ` COLLATE "C")`
	}
	return "starts_with(login_key::text, " + a.LoginArgument() + ")"
}

// EmailCollated is LoginCollated for e-mails.
func (a adapter) EmailCollated() string {
	return collated("email_key", a.User.columns["email"].collation)
}

func collated(expression, collation string) string {
	if collation == "" {
		return expression
	}
	return "(" + expression + " COLLATE " + collation + ")"
}

// LoginForm is the form in which the service must give a login. A name that stands in for the username is compared in
// lower case.
func (a adapter) LoginForm() string {
	if a.loginField() == "username" {
		return a.UsernameNormalization
	}
	return lower
}

// LoginArgument is the argument of game.login_matches with that form. For a name that stands in for the username, the database
// makes both sides lower case: in the locales C and tr it does not do what a program does.
func (a adapter) LoginArgument() string {
	if a.loginField() == "name" {
		return "lower(" + collated("as_typed", a.User.columns["name"].collation) + ")"
	}
	return map[string]string{lower: "in_lower", upper: "in_upper", asTyped: "as_typed"}[a.LoginForm()]
}

// EmailType is the type of the e-mail column.
func (a adapter) EmailType() sqlType { return a.User.columns["email"].typ }

// SessionColumns returns the select list of the session functions. A session without an end has ended, as in better-auth.
func (a adapter) SessionColumns() string {
	s := a.Session
	ends := bounded("coalesce(" + s.Time("expiresat") + ", 'epoch')")
	return strings.Join([]string{
		s.Text("id"), a.SessionUserID(), s.Past("createdat"), s.Past("updatedat"), ends,
		"coalesce(" + s.Time("expiresat") + " > now(), false)",
		"greatest(0, floor(extract(epoch FROM " + ends + " - now())))::bigint",
		s.Text("ipaddress"), s.Text("useragent"), s.Text("impersonatedby") + " IS NOT NULL",
	}, ", ")
}
