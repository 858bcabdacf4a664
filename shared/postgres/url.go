package postgres

import (
	"errors"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/osirose-new/database-service/shared/connurl"
)

const exampleURL = "postgres://user:password@host:5432/database" //nolint:gosec // the example names no real password

// schemes says for each usual wrong scheme what to write instead.
var schemes = map[string]string{
	"prisma":          "is a URL of Prisma Accelerate, which only Prisma's client speaks: write the database's own URL, " + exampleURL,
	"prisma+postgres": "is a URL of Prisma Accelerate, which only Prisma's client speaks: write the database's own URL, " + exampleURL,
	"pgsql":           "begins with pgsql://: write postgres://",
	"pg":              "begins with pg://: write postgres://",
	"postgis":         "begins with postgis://: write postgres://",
	"mysql":           "is a MySQL URL; the service needs PostgreSQL, " + exampleURL,
	"mariadb":         "is a MySQL URL; the service needs PostgreSQL, " + exampleURL,
	"sqlite":          "is an SQLite URL; the service needs PostgreSQL, " + exampleURL,
	"redis":           "is a Redis URL, which belongs into REDIS_URL; write " + exampleURL,
	"rediss":          "is a Redis URL, which belongs into REDIS_URL; write " + exampleURL,
	"http":            "is a web address; write " + exampleURL,
	"https":           "is a web address; write " + exampleURL,
}

// wrongScheme says for a scheme what to write instead.
func wrongScheme(scheme string) string {
	if problem, known := schemes[scheme]; known {
		return problem
	}
	if strings.HasPrefix(scheme, "jdbc:") || strings.HasPrefix(scheme, "r2dbc:") {
		return "is a JDBC URL: write " + exampleURL + ", with the user and the password in front of the host"
	}
	if front, _, driver := strings.Cut(scheme, "+"); driver && (front == "postgres" || front == "postgresql") {
		return "names a driver of SQLAlchemy: write postgresql://"
	}
	return "does not begin with postgres:// or postgresql://: write " + exampleURL
}

var (
	errForm    = errors.New("is neither a URL (" + exampleURL + ") nor host=NAME user=NAME dbname=NAME")
	errSecret  = errors.New("is the ARN of a secret, which belongs into DATABASE_SECRET_ARN")
	errService = errors.New("names a service, or PGSERVICE does, that no service file has: check PGSERVICEFILE, or write " + exampleURL)
	errDriver  = errors.New("does not fit together for the driver: write as many ports as hosts, or one; or write " + exampleURL)
)

// explain returns why pgx refuses databaseURL, which has passed normalize.
func explain(databaseURL string) error {
	for _, v := range environment {
		if problem := checkValue(v.param, os.Getenv(v.name)); problem != "" && os.Getenv(v.name) != "" {
			return errors.New("is read together with " + v.name + ", which is wrong: " + problem)
		}
	}
	if strings.Contains(databaseURL, "service=") || os.Getenv("PGSERVICE") != "" {
		return errService
	}
	return errDriver
}

// CheckURL returns the error that Open would return for databaseURL. login means that Options.Login is set; token is
// Options.Token.
func CheckURL(databaseURL string, login, token bool) error {
	_, _, err := parse(databaseURL, login, token)
	return err
}

// ParseURL returns the pool's configuration for databaseURL, for a program that connects by itself.
func ParseURL(databaseURL string) (*pgxpool.Config, error) {
	cfg, _, err := parse(databaseURL, false, false)
	return cfg, err
}

// parse also returns the target, if there is a login. Without a client's encoding a server sends text in the database's own.
func parse(databaseURL string, login, token bool) (*pgxpool.Config, *target, error) {
	cfg, t, err := parseURL(databaseURL, login, token)
	if err == nil {
		cfg.ConnConfig.RuntimeParams["client_encoding"] = "UTF8"
	}
	return cfg, t, err
}

func parseURL(databaseURL string, login, token bool) (*pgxpool.Config, *target, error) {
	if !login || strings.TrimSpace(databaseURL) != "" {
		var err error
		if databaseURL, err = normalize(databaseURL, login); err != nil {
			return nil, nil, err
		}
	}
	if !login {
		cfg, err := pgxpool.ParseConfig(databaseURL)
		if err != nil {
			return nil, nil, explain(databaseURL)
		}
		requireAuth(&cfg.ConnConfig.Config)
		return cfg, nil, nil
	}
	t, err := parseTarget(databaseURL, token)
	if err != nil {
		return nil, nil, err
	}
	cfg, err := t.config()
	return cfg, t, err
}

// normalize returns databaseURL as pgx reads it: without surrounding spaces, and with pgx's parameters in place of those
// that Prisma and node-postgres add. Its error names what is wrong. login means that the host may come from elsewhere.
func normalize(databaseURL string, login bool) (string, error) {
	raw := strings.TrimSpace(databaseURL)
	if err := connurl.CheckText(raw, exampleURL); err != nil {
		return "", err
	}
	scheme, rest, isURL := strings.Cut(raw, "://")
	if !isURL || strings.ContainsAny(scheme, " =@/?'") {
		return raw, checkKeywords(raw)
	}
	if scheme = strings.ToLower(scheme); scheme != "postgres" && scheme != "postgresql" {
		return "", errors.New(wrongScheme(scheme))
	}
	u, err := splitURL(rest)
	if err != nil {
		return "", err
	}
	if noHost := u.hosts == "" || u.hosts[0] == ':'; !login && noHost && os.Getenv("PGHOST") == "" && os.Getenv("PGSERVICE") == "" && !u.has("host", "service") {
		return "", errors.New("has no host: write " + exampleURL + ", or ?host=/var/run/postgresql for a socket of this machine")
	}
	if u.params, err = translate(u.params); err != nil {
		return "", err
	}
	return scheme + "://" + u.String(), nil
}

// parts are the parts of a URL behind its scheme. Only params are decoded.
type parts struct {
	user   string // with the @
	hosts  string
	path   string // with the /
	params []connurl.Param
}

func (u parts) String() string {
	s := u.user + u.hosts + u.path
	if len(u.params) > 0 {
		s += "?" + connurl.Query(u.params)
	}
	return s
}

func (u parts) has(names ...string) bool {
	for _, p := range u.params {
		for _, name := range names {
			if p.Name == name && p.Value != "" {
				return true
			}
		}
	}
	return false
}

// splitURL splits as libpq and pgx do: the user ends at the first @ before a slash.
func splitURL(rest string) (u parts, err error) {
	front, _, _ := strings.Cut(rest, "/")
	switch strings.Count(front, "@") {
	case 0:
	case 1:
		i := strings.IndexByte(rest, '@') + 1
		u.user, rest = rest[:i], rest[i:]
	default:
		return u, errors.New("has several @ in front of its path: write %40 for an @ in the user or the password")
	}
	if err := connurl.CheckEscapes(u.user + rest); err != nil {
		return u, err
	}
	if strings.Contains(u.user, " ") {
		return u, errors.New("has a space in front of its host: write %20 for a space in the user or the password")
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	u.hosts, rest = rest[:end], rest[end:]
	u.path, rest, _ = strings.Cut(rest, "?")
	if strings.Contains(u.path+rest, "@") || strings.Contains(u.path, "#") {
		return u, errors.New("has an @ or # behind its host: write %2F for a / in the user or the password, %3F for a ?, and elsewhere %40 for an @ and %23 for a #")
	}
	for hostPort := range strings.SplitSeq(u.hosts, ",") {
		if err := connurl.CheckHost(hostPort); err != nil {
			return u, err
		}
		if strings.Contains(u.hosts, ",") && (hostPort == "" || hostPort[0] == ':') {
			return u, errors.New("has an empty name among its hosts, which would be a socket of this machine: remove the comma, or write the name")
		}
	}
	if err := checkPath(u.path); err != nil {
		return u, err
	}
	u.params, err = connurl.Params(rest)
	return u, err
}

func checkPath(path string) error {
	switch {
	case strings.Contains(strings.TrimPrefix(path, "/"), "/"):
		return errors.New("has a path of several parts: behind the host stands the database's name alone, " + exampleURL)
	case strings.ContainsAny(path, "&;= $<>{}"):
		return errors.New("has a character behind its host that must be escaped in a database's name: put ? in front of the first parameter and & between the others, replace a placeholder, and write %20 for a space, %3D for =")
	}
	return nil
}

// checkKeywords checks the form host=... user=... Unknown names are refused and not repeated: they may be parts of a
// password with a space.
func checkKeywords(raw string) error {
	if name, _, _ := strings.Cut(raw, ":"); !strings.Contains(raw, "=") || strings.HasPrefix(raw, name+":/") {
		if strings.HasPrefix(raw, "arn:aws") && strings.Contains(raw, ":secretsmanager:") {
			return errSecret
		}
		return errForm
	}
	host := os.Getenv("PGHOST") != "" || os.Getenv("PGSERVICE") != ""
	for rest := raw; rest != ""; {
		name, value, found := strings.Cut(rest, "=")
		name = strings.TrimSpace(name)
		_, known := values[name]
		if !found || !known && !keywords[name] {
			return errors.New(`has a name in front of = that is not known (in the form host=... user=..., quote a value with a space: password='a b'); or write ` + exampleURL)
		}
		value, rest = cutValue(value)
		if problem := checkValue(name, value); problem != "" {
			return errors.New("has a wrong " + name + ": " + problem)
		}
		host = host || (name == "host" || name == "hostaddr" || name == "service") && value != ""
	}
	if !host {
		return errors.New("has no host: write host=... or " + exampleURL)
	}
	return nil
}

// cutValue splits "value rest", where the value may stand in single quotes.
func cutValue(s string) (value, rest string) {
	s = strings.TrimLeft(s, " ")
	end := func(r byte) bool { return r == ' ' }
	if strings.HasPrefix(s, "'") {
		s, end = s[1:], func(r byte) bool { return r == '\'' }
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case end(s[i]):
			return b.String(), strings.TrimLeft(s[i+1:], " ")
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}
