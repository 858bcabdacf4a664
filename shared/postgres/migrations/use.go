package migrations

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osirose-new/database-service/shared/postgres"
)

// uses are what the service's statements need, with an id that no row has. A function plans its statements at each first
// use in a session, so it fails although it finds nothing.
var uses = []struct{ what, sql string }{
	{"the view game.users", `SELECT EXISTS (SELECT FROM game.users AS u WHERE u.id = game.user_id(''))`},
	{"the lookup of usernames", `SELECT EXISTS (SELECT FROM game.users AS u WHERE game.login_matches(u.login_key, '', '', ''))`},
	{"the lookup of e-mails", `SELECT EXISTS (SELECT FROM game.users AS u WHERE game.email_is(u.email_key, ''))`},
	{"the function game.session_by_token_as", `SELECT EXISTS (SELECT FROM game.adapter AS a, game.session_by_token_as('', a.session_token = 'sha256'))`},
	{"the function game.session_by_id", `SELECT EXISTS (SELECT FROM game.session_by_id(''))`},
	{"the function game.extend_session", `SELECT EXISTS (SELECT FROM game.extend_session('', interval '0', interval '0', interval '1 hour'))`},
	{"the function game.ban_holds", `SELECT game.ban_holds(false, NULL, now())`},
	{"the table game.character", `SELECT EXISTS (SELECT FROM game.character AS c WHERE c.user_id = game.user_id(''))`},
}

// use uses the adapter as the current role. auth is for the names in errors; it may be empty.
func use(ctx context.Context, q Querier, auth authTables) error {
	for _, u := range uses {
		if err := ask(ctx, q, auth.own.In(u.sql)); err != nil {
			return failing(auth.own.In(u.what), err, auth)
		}
	}
	return nil
}

// useExisting looks an existing user up. The service cannot list sessions.
func useExisting(ctx context.Context, q Querier, own postgres.Schema) error {
	if err := ask(ctx, q, own.In(foundSQL)); err != nil {
		return failing("the lookup of a user", err, authTables{own: own})
	}
	return nil
}

func ask(ctx context.Context, q Querier, sql string) error {
	rows, err := q.Query(ctx, sql)
	if err != nil {
		return err
	}
	rows.Close()
	if e, ok := errors.AsType[*pgconn.PgError](rows.Err()); ok && e.Code == "OS001" {
		return nil // session ids are serial numbers
	}
	return rows.Err()
}

// failing describes an error that an operator must remove. Any other error stays as it is.
func failing(what string, err error, auth authTables) error {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	switch {
	case e.Code == "42501": // the service's own rights have been checked
		return right(fmt.Sprintf("%s fails: %s: %v, as a role that may SELECT the user table, and SELECT and UPDATE the session table", what, e.Message, again(auth.own)))
	case strings.HasPrefix(e.Code, "42"), e.Code == "3F000":
		return fmt.Errorf("%s fails%s: %s: %w", what, auth.column(e), e.Message, again(auth.own))
	case strings.HasPrefix(e.Code, "22"): // its message may quote a value
		return fmt.Errorf("%s fails: SQLSTATE %s: %w", what, e.Code, again(auth.own))
	}
	return err
}

var (
	columnOfText  = regexp.MustCompile(`\b([us])\.("(?:[^"]|"")+")`)
	columnOfReply = regexp.MustCompile(`in column (?:".*" \(position )?(\d+)`) // PostgreSQL 18 also has the name
	// replied are the columns of the session functions' answers.
	replied = []string{"id", "userid", "createdat", "updatedat", "expiresat", "expiresat", "expiresat", "ipaddress", "useragent", "impersonatedby"}
)

// column returns " (column ...)": the column that a session function failed on, or "". PostgreSQL names a missing column
// itself. For a wrong type it tells the position in the function's statement, or the number of the answer's column.
func (a authTables) column(e *pgconn.PgError) string {
	if m := columnOfReply.FindStringSubmatch(e.Detail); m != nil && strings.Contains(e.Where, a.own.String()+".session_by") {
		if n, err := strconv.Atoi(m[1]); err == nil && n >= 1 && n <= len(replied) {
			if c, ok := a.Session.columns[replied[n-1]]; ok {
				return " (column " + a.Session.Table() + "." + pgx.Identifier{c.name}.Sanitize() + ")"
			}
		}
	}
	text := []rune(e.InternalQuery)
	if comparison := e.Code == "42883" || e.Code == "42846" || e.Code == "42725"; !comparison || e.InternalPosition < 1 || int(e.InternalPosition) > len(text) {
		return ""
	}
	before, from := string(text[:e.InternalPosition-1]), string(text[e.InternalPosition-1:])
	m := columnOfText.FindStringSubmatch(from)
	if all := columnOfText.FindAllStringSubmatch(before, -1); len(all) > 0 {
		m = all[len(all)-1]
	}
	switch {
	case m == nil:
		return ""
	case m[1] == "u":
		return " (column " + m[2] + " of the user table)"
	}
	return " (column " + m[2] + " of the session table)"
}

// slow reports whether a statement ended because it took too long, for example behind a lock.
func slow(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "57014" || e.Code == "55P03") ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || pgconn.Timeout(err)
}
