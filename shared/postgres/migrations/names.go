package migrations

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Names are names of better-auth's tables and columns that differ from its own.
type Names struct {
	UserTable    string            `json:",omitempty"`
	SessionTable string            `json:",omitempty"`
	Columns      map[string]string `json:",omitempty"` // field, for example "user.name", to column
}

// or returns n, or the names of the last run if n is empty.
func (n Names) or(last string) Names {
	if n.UserTable == "" && n.SessionTable == "" && len(n.Columns) == 0 && last != "" {
		_ = json.Unmarshal([]byte(last), &n) // written by String
	}
	return n
}

// String returns the names as JSON.
func (n Names) String() string {
	b, _ := json.Marshal(n) // strings only
	return string(b)
}

// pick returns the table of a kind, "user" or "session", or nil if there is none.
func (n Names) pick(found []*table, kind, name string, core []string) (*table, error) {
	var fit, named []*table
	var wrong error
	for _, t := range found {
		if name != "" && t.name == name || name == "" && strings.TrimSuffix(strings.ToLower(t.name), "s") == kind {
			renamed, err := n.rename(*t, kind)
			if err != nil {
				wrong = err
				continue
			}
			named = append(named, &renamed)
			if renamed.has(core) {
				fit = append(fit, &renamed)
			}
		}
	}
	for _, second := range []func(*table) bool{func(t *table) bool { return t.unusable != "" }, func(t *table) bool { return t.view }} {
		if slices.ContainsFunc(fit, func(t *table) bool { return !second(t) }) {
			fit = slices.DeleteFunc(fit, second)
		}
	}
	switch {
	case len(fit) == 1 && fit[0].unusable != "":
		return nil, missing(fmt.Sprintf("%s is %s", fit[0].Table(), fit[0].unusable))
	case len(fit) == 1:
		return fit[0], n.checkOne(*fit[0], kind)
	case len(fit) > 1:
		return nil, ambiguous(kind, fit)
	case wrong != nil:
		return nil, wrong
	case len(named) > 0 && (name != "" || len(named[0].lacks(core)) <= len(core)/2): // else it is another library's table
		lacking := named[0].lacks(core)
		return nil, missing(fmt.Sprintf("%s has no column %s of better-auth's %s table; if it has another name, pass -column %s.%s=NAME",
			named[0].Table(), strings.Join(lacking, ", "), kind, kind, lacking[0]))
	case name != "":
		return nil, missing(fmt.Sprintf("there is no table or view %q, which -%s-table names", name, kind))
	}
	return nil, nil
}

// rename returns t with the columns of -column as the fields that they replace.
func (n Names) rename(t table, kind string) (table, error) {
	columns := map[string]column{}
	for field, c := range t.columns {
		columns[field] = c
	}
	for field, name := range n.Columns {
		of, f, _ := strings.Cut(field, ".")
		if of != kind {
			continue
		}
		i := slices.IndexFunc(t.all, func(c column) bool { return c.name == name })
		if i < 0 {
			return t, missing(fmt.Sprintf("%s has no column %q, which -column %s=%s names", t.Table(), name, field, name))
		}
		columns[plain(f)] = t.all[i]
	}
	t.columns = columns
	return t, nil
}

// checkOne returns an error if several columns of t could be one field, for example expiresAt and expires_at during a rename.
// The web application may write only one of them. -column says which.
func (n Names) checkOne(t table, kind string) error {
	fields := userFields
	if kind == "session" {
		fields = sessionFields
	}
	for field := range n.Columns {
		if of, f, _ := strings.Cut(field, "."); of == kind {
			fields = slices.DeleteFunc(slices.Clone(fields), func(known string) bool { return known == plain(f) })
		}
	}
	for _, field := range fields {
		var same []string
		for _, c := range t.all {
			if plain(c.name) == field {
				same = append(same, pgx.Identifier{c.name}.Sanitize())
			}
		}
		if len(same) > 1 {
			return missing(fmt.Sprintf("%s has several columns that could be better-auth's %s: %s; pass -column %s.%s=NAME with the one that the web application writes",
				t.Table(), field, strings.Join(same, " and "), kind, field))
		}
	}
	return nil
}

// check returns an error for a field that does not exist.
func (n Names) check() error {
	for field := range n.Columns {
		kind, f, _ := strings.Cut(field, ".")
		if kind == "user" && slices.Contains(userFields, plain(f)) || kind == "session" && slices.Contains(sessionFields, plain(f)) {
			continue
		}
		return fmt.Errorf("-column %s: no such field; there are user.{%s} and session.{%s}", field, strings.Join(userFields, ","), strings.Join(sessionFields, ","))
	}
	return nil
}
