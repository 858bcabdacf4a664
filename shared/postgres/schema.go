package postgres

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Schema is the name of the service's own schema. An empty one means [DefaultSchema].
type Schema string

// DefaultSchema is the schema in the SQL texts of this program.
const DefaultSchema Schema = "game"

// Regular expressions are compiled at their first use: a cold start with the default schema needs none.
var (
	schemaName = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`) // such a name needs no quotes, except a reserved word
	})
	// ofDefault finds DefaultSchema in a text: in front of a dot, after the word schema, and as a string.
	ofDefault = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\bgame\.|\b[Ss]chema game\b|\bSCHEMA game\b|'game'`)
	})
)

// Check returns an error if s cannot be the service's schema. Its text follows the name of the setting.
func (s Schema) Check() error {
	if s != "" && (!schemaName().MatchString(string(s)) || strings.HasPrefix(string(s), "pg_") || s == "public" || s == "information_schema") {
		return errors.New("is not a name for the service's schema: up to 63 lower-case letters, digits and _, neither public nor information_schema, not beginning with a digit or pg_")
	}
	return nil
}

// String returns the name.
func (s Schema) String() string {
	if s == "" {
		return string(DefaultSchema)
	}
	return string(s)
}

// IsDefault reports whether s is [DefaultSchema].
func (s Schema) IsDefault() bool { return s == "" || s == DefaultSchema }

// In returns a text of this program, a statement or a message, that names s wherever it names [DefaultSchema]. The text must not
// contain data.
func (s Schema) In(text string) string {
	if s.IsDefault() {
		return text
	}
	return ofDefault().ReplaceAllStringFunc(text, func(found string) string {
		return strings.Replace(found, string(DefaultSchema), string(s), 1)
	})
}

// inSchema remembers a DB's statements in its schema. Statements are constants, so there are few.
type inSchema struct {
	schema Schema
	texts  sync.Map // of string, by the statement as it is in this program
}

func newInSchema(s Schema) *inSchema {
	if s.IsDefault() {
		return nil
	}
	return &inSchema{schema: s}
}

func (i *inSchema) text(sql string) string {
	if text, ok := i.texts.Load(sql); ok {
		return text.(string)
	}
	text := i.schema.In(sql)
	i.texts.Store(sql, text)
	return text
}

// on returns a Querier that runs statements in the schema. For the default schema, i is nil and q stays as it is.
func (i *inSchema) on(q Querier) Querier {
	if i == nil {
		return q
	}
	return renaming{q, i}
}

type renaming struct {
	Querier
	*inSchema
}

// Query implements Querier.
func (r renaming) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return r.Querier.Query(ctx, r.text(sql), args...)
}

// Exec implements Querier.
func (r renaming) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return r.Querier.Exec(ctx, r.text(sql), args...)
}
