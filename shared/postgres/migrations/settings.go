package migrations

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Settings are what better-auth's tables do not show: how the web application has configured better-auth, and how far the
// service may extend a session. An empty field means that of the last run.
type Settings struct {
	// UsernameNormalization is how the username plugin stores a name: in "lower" case, which is the default, in "upper"
	// case, or as typed ("none").
	UsernameNormalization string
	// SessionToken is how sessions' tokens are stored: "plain", which is the default, or "sha256" in hex.
	SessionToken string
	// SessionWindow is how far after now an extension may move the expiry of a session, and SessionCap how far after the
	// session's creation. Defaults: 1 h and 30 days.
	SessionWindow, SessionCap time.Duration
	// SessionMinGain is the smallest extension that is written. Default: 5 min.
	SessionMinGain time.Duration
}

const (
	lower   = "lower"
	upper   = "upper"
	asTyped = "none"
	plainly = "plain"
	hashed  = "sha256"
)

// or returns s, completed by the settings of the last run and the defaults.
func (s Settings) or(last Settings) Settings {
	return Settings{
		UsernameNormalization: cmp.Or(s.UsernameNormalization, last.UsernameNormalization, lower),
		SessionToken:          cmp.Or(s.SessionToken, last.SessionToken, plainly),
		SessionWindow:         cmp.Or(s.SessionWindow, last.SessionWindow, time.Hour),
		SessionCap:            cmp.Or(s.SessionCap, last.SessionCap, 30*24*time.Hour),
		SessionMinGain:        cmp.Or(s.SessionMinGain, last.SessionMinGain, 5*time.Minute),
	}
}

// TokensHashed reports whether tokens are stored as hashes.
func (s Settings) TokensHashed() bool { return s.SessionToken == hashed }

func (s Settings) check() error {
	for _, f := range []struct {
		flag, value string
		known       []string
	}{
		{"-username-normalization", s.UsernameNormalization, []string{lower, upper, asTyped}},
		{"-session-token", s.SessionToken, []string{plainly, hashed}},
	} {
		if !slices.Contains(f.known, f.value) {
			return fmt.Errorf("%s: no such value %q; there are %s", f.flag, f.value, strings.Join(f.known, ", "))
		}
	}
	return s.checkLimits()
}

// checkLimits accepts the same times as the service's SESSION_WINDOW and SESSION_CAP.
func (s Settings) checkLimits() error {
	const year = 365 * 24 * time.Hour
	for _, f := range []struct {
		flag               string
		value, least, most time.Duration
	}{
		{"-session-window", s.SessionWindow, time.Minute, year},
		{"-session-cap", s.SessionCap, time.Minute, year},
		{"-session-min-gain", s.SessionMinGain, time.Second, 24 * time.Hour},
	} {
		if f.value < f.least || f.value > f.most || f.value%time.Second != 0 {
			return fmt.Errorf("%s %s is not from %s to %s in whole seconds", f.flag, f.value, f.least, f.most)
		}
	}
	if s.SessionMinGain > s.SessionWindow {
		return fmt.Errorf("-session-min-gain %s is more than -session-window %s, so no session would ever be extended", s.SessionMinGain, s.SessionWindow)
	}
	return nil
}

// Seconds returns a limit as the database stores it.
func (Settings) Seconds(d time.Duration) int { return int(d / time.Second) }

// lowered says which limits of the service's configuration are above those of the database, which then hold. It is empty if
// there are none. Zero means the service's default.
func (s Settings) lowered(window, limit time.Duration) string {
	var all []string
	for _, l := range []struct {
		name, flag      string
		wanted, allowed time.Duration
	}{
		{"SESSION_WINDOW", "-session-window", window, s.SessionWindow},
		{"SESSION_CAP", "-session-cap", limit, s.SessionCap},
	} {
		if l.wanted > l.allowed {
			all = append(all, fmt.Sprintf("%s is %s, but the database allows %s: lower it, or run database-service migrate %s %s",
				l.name, l.wanted, l.allowed, l.flag, l.wanted))
		}
	}
	return strings.Join(all, "; ")
}

// compare compares the settings with the rows that are there. It returns what is worth a note, and an error if sessions
// could not be found. chosen are the settings of this run alone. A column that the role may not read is not compared: the proof
// reports it.
func (a adapter) compare(ctx context.Context, q Querier, chosen Settings) (note string, err error) {
	if err := a.compareTokens(ctx, q, chosen); err != nil {
		return "", err
	}
	names, err := a.compareUsernames(ctx, q)
	if err != nil {
		return "", err
	}
	indexes, err := a.unindexed(ctx, q)
	return lines(names, indexes), err
}

// lines joins notes, without empty ones.
func lines(notes ...string) string {
	return strings.Join(slices.DeleteFunc(notes, func(s string) bool { return s == "" }), "\n")
}

// compareTokens refuses a setting with which no session would be found. It also refuses rows that look like hashes, unless this
// run says that they are tokens.
func (a adapter) compareTokens(ctx context.Context, q Querier, chosen Settings) error {
	column := a.Session.Table() + "." + a.Session.Name("token")
	if typ := a.Session.columns["token"].typ; a.TokensHashed() && !slices.Contains(textTypes, typ) && !typ.citext() {
		return fmt.Errorf("-session-token sha256: %s is of type %s, which cannot hold a hash", column, typ)
	}
	n, err := a.Session.count(ctx, q, "token", a.Session.Text("token")+` COLLATE "C" ~ '^[0-9a-f]{64}$'`, "false")
	switch hashes := n.first; {
	case err != nil:
		return err
	case a.TokensHashed() && hashes < n.all:
		return fmt.Errorf("-session-token sha256: %d of %d values of %s are no sha256 in hex (64 characters, 0-9 and a-f). If the web application "+
			"stores hashes now, delete its sessions from before; if it stores the tokens, pass -session-token plain", n.all-hashes, n.all, column)
	case !a.TokensHashed() && hashes > 0 && chosen.SessionToken == "":
		return fmt.Errorf("%d of %d values of %s look like sha256 in hex. If the web application stores hashes, pass -session-token sha256; "+
			"if these are the tokens, pass -session-token plain", hashes, n.all, column)
	}
	return nil
}

// compareUsernames tells of usernames that cannot be found. ASCII letters suffice to see how they are stored.
func (a adapter) compareUsernames(ctx context.Context, q Querier) (note string, err error) {
	if a.loginField() != "username" || a.LoginType().citext() || a.User.columns["username"].loose {
		return "", nil
	}
	name := a.User.Text("username") + ` COLLATE "C"`
	n, err := a.User.count(ctx, q, "username", name+" <> lower("+name+")", name+" <> upper("+name+")")
	if err != nil {
		return "", err
	}
	const pass = "pass -username-normalization "
	wrong, advice := 0, ""
	switch a.UsernameNormalization {
	case lower:
		wrong, advice = n.first, pass+asTyped+" if the web application sets usernameNormalization to false"
		if n.second == 0 {
			advice = pass + upper + " if the web application makes them upper case"
		}
	case upper:
		wrong, advice = n.second, pass+asTyped+" if the web application sets usernameNormalization to false"
		if n.first == 0 {
			advice = pass + lower + " if the web application makes them lower case, as better-auth does by default"
		}
	}
	if wrong == 0 {
		return "", nil
	}
	return fmt.Sprintf("note: %d of %d usernames in %s are not in %s case, so GetUserByUsername cannot find them: %s",
		wrong, n.all, a.User.Table(), a.UsernameNormalization, advice), nil
}

// counts are numbers of rows: all, and those that meet a condition.
type counts struct{ all, first, second int }

// count counts the rows whose column is not NULL. It returns zeros if the role may not read the column.
func (t table) count(ctx context.Context, q Querier, field, first, second string) (counts, error) {
	rows, err := q.Query(ctx, `SELECT has_column_privilege($1::text, $2::text, 'SELECT')`, t.Table(), t.columns[field].name)
	if err != nil {
		return counts{}, err
	}
	may, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[bool])
	if err != nil || !may {
		return counts{}, err
	}
	rows, err = q.Query(ctx, fmt.Sprintf("SELECT count(*), count(*) FILTER (WHERE %s), count(*) FILTER (WHERE %s) FROM %s AS %s WHERE %s IS NOT NULL",
		first, second, t.Table(), t.alias, t.ref(field)))
	if err != nil {
		return counts{}, fmt.Errorf("%s cannot be read: %w", t.Table(), reason(err))
	}
	n, err := pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (n counts, err error) {
		return n, row.Scan(&n.all, &n.first, &n.second)
	})
	if err != nil {
		return counts{}, fmt.Errorf("%s cannot be read: %w", t.Table(), reason(err))
	}
	return n, nil
}

// checkTimezone accepts names only. In PostgreSQL "UTC+2" is two hours west of Greenwich, and a wrong zone changes how long
// sessions live.
func checkTimezone(ctx context.Context, q Querier, zone string) error {
	if zone == "" || zone == "UTC" {
		return nil
	}
	rows, err := q.Query(ctx, `SELECT EXISTS (SELECT FROM pg_timezone_names WHERE lower(name) = lower($1))`, zone)
	if err != nil {
		return err
	}
	known, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[bool])
	if err == nil && !known {
		err = fmt.Errorf("AUTH_TIMEZONE: PostgreSQL knows no time zone %q; write a name such as UTC or Europe/Berlin", zone)
	}
	return err
}

// checkEncoding accepts UTF8 only: in another encoding there are usernames that no lookup can send, and in SQL_ASCII texts that no
// answer can have.
func checkEncoding(ctx context.Context, q Querier) error {
	rows, err := q.Query(ctx, `SELECT getdatabaseencoding()`)
	if err != nil {
		return err
	}
	encoding, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
	if err == nil && encoding != "UTF8" {
		err = fmt.Errorf("the database has the encoding %s, and the service needs UTF8: restore a dump of it into a database that is made with ENCODING 'UTF8' TEMPLATE template0", encoding)
	}
	return err
}
