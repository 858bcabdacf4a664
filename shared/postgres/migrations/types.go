package migrations

import (
	"fmt"
	"slices"
	"strings"
)

// sqlType is the type of a column as PostgreSQL prints it, without its length. A type of an extension has its schema, for
// example public.citext.
type sqlType string

// SQL returns the type for a declaration or cast. "character" alone would mean one character.
func (t sqlType) SQL() string {
	if t == "character" {
		return "bpchar"
	}
	return string(t)
}

func (t sqlType) citext() bool { return strings.HasSuffix(string(t), ".citext") }

func (t sqlType) time() bool {
	return t == "timestamp with time zone" || t == "timestamp without time zone" || t == "date"
}

func (t sqlType) text() bool { return t.citext() || slices.Contains(textTypes, t) }

func (t sqlType) number() bool { return t == "integer" || t == "bigint" || t == "smallint" }

// Equals returns the condition that two expressions are equal: key of this type, and a text expression. The operator has
// its schema, because the functions of the adapter do not search the extensions' schemas.
func (t sqlType) Equals(key, text string) string {
	if t.citext() {
		return fmt.Sprintf("%s OPERATOR(%s.=) %s", key, strings.TrimSuffix(string(t), ".citext"), t.fromText(text))
	}
	return key + " = " + t.fromText(text)
}

// fromText converts a text expression, or returns NULL if it is not in the form that the type prints. It nests CASEs,
// because AND does not guarantee an order and a cast of "abc" would fail the statement.
func (t sqlType) fromText(e string) string {
	switch t {
	case "uuid":
		return fmt.Sprintf("CASE WHEN %s ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN %s::uuid END", e, e)
	case "integer":
		return fmt.Sprintf("CASE WHEN %s ~ '^[1-9][0-9]{0,9}$' THEN CASE WHEN %s::bigint <= 2147483647 THEN %s::integer END END", e, e, e)
	case "bigint":
		return fmt.Sprintf("CASE WHEN %s ~ '^[1-9][0-9]{0,18}$' THEN CASE WHEN %s::numeric <= 9223372036854775807 THEN %s::bigint END END", e, e, e)
	case "text":
		return e
	}
	return e + "::" + t.SQL()
}

var (
	textTypes = []sqlType{"text", "character varying", "character"}
	idTypes   = []sqlType{"text", "character varying", "uuid", "integer", "bigint"}
)

// checkNames refuses names that would end a text of the adapter: its functions are quoted by dollar signs.
func (a adapter) checkNames() error {
	for _, t := range []table{a.User, a.Session} {
		for _, name := range append(t.names(append(slices.Clone(userFields), sessionFields...)), t.schema, t.name) {
			if strings.Contains(name, "$$") || strings.Contains(name, "$query$") || strings.Contains(name, "$adapter$") {
				return fmt.Errorf("%s: the name %q has two dollar signs; put a view with another name in place of the table: see -user-table and -session-table", t.Table(), name)
			}
		}
	}
	return nil
}

// checkTypes returns an error if the adapter cannot read a column.
func (a adapter) checkTypes() error {
	isTime := func(t sqlType) bool { return t.time() && t != "date" }
	isBool := func(t sqlType) bool { return t == "boolean" || t.number() || t.time() }
	isText := sqlType.text
	isID := func(t sqlType) bool { return slices.Contains(idTypes, t) }
	isUserID := func(t sqlType) bool { return isText(t) || isID(t) || t.number() || t == "numeric" }
	isToken := func(t sqlType) bool { return isText(t) || isID(t) }
	const ids, times, texts = "text, varchar, uuid, integer and bigint are known", "timestamptz and timestamp are known", "text, varchar, char and citext are known"
	const bools = "boolean, integers and timestamps (a time means true) are known"
	for _, c := range []struct {
		t      table
		fields []string
		fits   func(sqlType) bool
		known  string
	}{
		{a.User, []string{"id"}, isID, ids},
		{a.Session, []string{"id"}, isID, ids},
		{a.Session, []string{"userid"}, isUserID, "text, varchar, char, citext, uuid and integers are known"},
		{a.Session, []string{"token"}, isToken, "text, varchar, char, citext and uuid are known"},
		{a.User, []string{"email", "username"}, isText, texts},
		{a.User, []string{"emailverified", "banned"}, isBool, bools},
		{a.User, []string{"banexpires", "createdat", "updatedat"}, isTime, times},
		{a.Session, []string{"expiresat", "createdat", "updatedat"}, isTime, times},
	} {
		for _, field := range c.fields {
			if col, ok := c.t.columns[field]; ok && !c.fits(col.typ) {
				return fmt.Errorf("%s.%s is of type %s; %s", c.t.Table(), c.t.Name(field), col.typ, c.known)
			}
		}
	}
	if c := a.User.columns["id"]; c.loose {
		return fmt.Errorf("%s.%s has the collation %s, in which different ids are equal, but the cache keeps them apart; give it a deterministic one, for example COLLATE \"C\"",
			a.User.Table(), a.User.Name("id"), c.collation)
	}
	return nil
}
