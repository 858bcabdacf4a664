package postgres

import (
	"crypto/x509"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/osirose-new/database-service/shared/connurl"
)

// keywords are names that may stand in the form host=... user=..., in addition to those of values. Other names are
// settings of the server, which a URL may have.
var keywords = map[string]bool{
	"port": true, "database": true, "dbname": true, "user": true, "password": true, "passfile": true, "sslcert": true,
	"sslpassword": true, "sslsni": true, "krbspn": true, "krbsrvname": true, "service": true, "servicefile": true,
	"application_name": true, "options": true, "statement_timeout": true, "lock_timeout": true, "search_path": true, "timezone": true,
	"idle_in_transaction_session_timeout": true,
}

// values checks the values of parameters. A check returns what is wrong, or "".
var values = map[string]func(string) string{
	"sslmode":              oneOf("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
	"sslrootcert":          certificates,
	"sslkey":               readable,
	"sslcertmode":          oneOf("disable", "allow", "require"),
	"sslnegotiation":       oneOf("postgres", "direct"),
	"channel_binding":      oneOf("disable", "prefer", "require"),
	"min_protocol_version": oneOf("3.0", "3.2", "latest"),
	"max_protocol_version": oneOf("3.0", "3.2", "latest"),
	"target_session_attrs": primary,
	"connect_timeout":      number(0, "seconds"),
	"port":                 ports,
	"host":                 hosts,
	"require_auth":         methods,
	"gssencmode":           oneOf("disable", "prefer"),
	"client_encoding":      oneOf("UTF8", "utf8", "UTF-8", "utf-8", "auto"), // the service sets it to UTF8

	// Not describe_exec: behind a pooler in transaction mode it can run another client's statement. Not simple_protocol: it writes
	// session tokens into the text of statements, which pg_stat_activity and the server's log show.
	"default_query_exec_mode":       oneOf("cache_statement", "cache_describe", "exec"),
	"statement_cache_capacity":      number(0, "statements"),
	"description_cache_capacity":    number(0, "statements"),
	"pool_max_conns":                number(1, "connections"),
	"pool_min_conns":                number(0, "connections"),
	"pool_min_idle_conns":           number(0, "connections"),
	"pool_max_conn_lifetime":        duration,
	"pool_max_conn_lifetime_jitter": duration,
	"pool_max_conn_idle_time":       duration,
	"pool_health_check_period":      duration,
	"pool_ping_timeout":             duration,
}

// foreign are parameters of other programs that have no counterpart here, or another name.
var foreign = map[string]string{ //nolint:gosec // advice, no credentials
	"pool_timeout":         "belongs to Prisma: remove it (a request waits at most 100 ms for a connection)",
	"socket_timeout":       "belongs to Prisma: remove it (a statement has 500 ms)",
	"statement_cache_size": "belongs to Prisma: write statement_cache_capacity, or remove it",
	"sslaccept":            "belongs to Prisma: write sslmode=verify-full for strict, sslmode=require for accept_invalid_certs",
	"sslidentity":          "belongs to Prisma: write sslcert and sslkey",
	"uselibpqcompat":       "belongs to node-postgres: remove it",
	"max":                  "belongs to node-postgres: write pool_max_conns",
	"encoding":             "belongs to node-postgres: remove it",
	"supa":                 "belongs to Supabase's dashboard: remove it",
	"currentSchema":        "belongs to JDBC: remove it",
	"sslfactory":           "belongs to JDBC: write sslmode",
	"prepareThreshold":     "belongs to JDBC: write default_query_exec_mode=cache_describe for a pooler",
	"prepared_statements":  "belongs to Rails: write default_query_exec_mode=cache_describe for a pooler",
	"hostaddr":             "is not supported: write the address as host",
	"replication":          "is not supported: the service needs an ordinary connection",
	"load_balance_hosts":   "is not supported: the URL must lead to the primary",
	"sslcrl":               "is not supported: remove it",
	"requirepeer":          "is not supported: remove it",
	"requiressl":           "is old: write sslmode=require",
	"pool_size":            "is not known: write pool_max_conns",
	"pool_max":             "is not known: write pool_max_conns",
	"max_connections":      "is not known: write pool_max_conns",
	"max_conns":            "is not known: write pool_max_conns",
	"pool_max_connections": "is not known: write pool_max_conns",
	"ssl_mode":             "is not known: write sslmode",
	"tls":                  "is not known: write sslmode=require",
	"ssl_ca":               "is not known: write sslrootcert",
	"sslca":                "is not known: write sslrootcert",
	"sslRootCert":          "is not known: write sslrootcert",
	"timeout":              "is not known: write connect_timeout",
	"username":             "is not known: write user",
	"pass":                 "is not known: write password",
	"pwd":                  "is not known: write password",
	"passwd":               "is not known: write password",
	"name":                 "is not known: write dbname",
}

// environment has those of libpq's variables whose values pgx checks when it parses a URL.
var environment = []struct{ name, param string }{
	{"PGHOST", "host"}, {"PGPORT", "port"}, {"PGSSLMODE", "sslmode"}, {"PGSSLROOTCERT", "sslrootcert"}, {"PGSSLCERT", "sslcert"}, {"PGSSLKEY", "sslkey"},
	{"PGSSLCERTMODE", "sslcertmode"}, {"PGSSLNEGOTIATION", "sslnegotiation"}, {"PGCONNECT_TIMEOUT", "connect_timeout"},
	{"PGTARGETSESSIONATTRS", "target_session_attrs"}, {"PGMINPROTOCOLVERSION", "min_protocol_version"}, {"PGMAXPROTOCOLVERSION", "max_protocol_version"},
	{"PGCHANNELBINDING", "channel_binding"}, {"PGREQUIREAUTH", "require_auth"},
}

// translate checks the parameters of a URL and replaces those of Prisma and node-postgres.
func translate(params []connurl.Param) (out []connurl.Param, err error) {
	has := func(name, value string) bool {
		return slices.ContainsFunc(params, func(p connurl.Param) bool { return p.Name == name && (value == "" || p.Value == value) })
	}
	for _, p := range params {
		switch {
		case p.Name == "sslmode" && p.Value == "no-verify": // node-postgres's
			p.Value = "require"
		case p.Name == "sslrootcert" && has("sslmode", "no-verify"):
			continue // with it, require would mean verify-ca
		case p.Name == "pgbouncer": // Prisma's
			if p.Value != "true" || has("default_query_exec_mode", "") {
				continue
			}
			p = connurl.Param{Name: "default_query_exec_mode", Value: "cache_describe"}
		case p.Name == "connection_limit": // Prisma's
			if problem := number(1, "connections")(p.Value); problem != "" {
				return nil, errors.New("has a wrong connection_limit: " + problem)
			}
			if has("pool_max_conns", "") {
				continue
			}
			p.Name = "pool_max_conns"
		}
		if err := checkParam(p); err != nil {
			return nil, err
		}
		if !ignored[p.Name] {
			out = append(out, p)
		}
	}
	if has("sslcert", "") != has("sslkey", "") {
		return nil, errors.New("needs sslcert and sslkey together")
	}
	return out, nil
}

// ignored are parameters that change nothing here: all of the service's statements name their schema, Go keeps
// connections alive, and there is no encryption by GSSAPI.
var ignored = map[string]bool{
	"schema": true, "keepalives": true, "keepalives_idle": true, "keepalives_interval": true, "keepalives_count": true, "gssencmode": true,
	"fallback_application_name": true,
}

// checkParam repeats the name only if it is in a list here: another name can be the rest of a password with an &.
func checkParam(p connurl.Param) error {
	if problem, is := foreign[p.Name]; is {
		return errors.New("has the parameter " + p.Name + ", which " + problem)
	}
	if p.Name == "ssl" && p.Value != "true" {
		return errors.New("has a wrong ssl: write sslmode=require or sslmode=disable")
	}
	if problem := checkValue(p.Name, p.Value); problem != "" {
		return errors.New("has a wrong " + p.Name + ": " + problem)
	}
	if strings.ToLower(p.Name) != p.Name {
		return errors.New("has a parameter with capital letters: parameters are lower-case, for example sslmode and pool_max_conns")
	}
	return nil
}

func checkValue(name, value string) string {
	if check := values[name]; check != nil {
		return check(value)
	}
	if name == "sslcert" {
		return readable(value)
	}
	return ""
}

func oneOf(allowed ...string) func(string) string {
	return func(value string) string {
		if slices.Contains(allowed, value) {
			return ""
		}
		return "it is one of " + strings.Join(allowed, ", ")
	}
}

func number(least int, unit string) func(string) string {
	return func(value string) string {
		if n, err := strconv.ParseInt(value, 10, 32); err != nil || int(n) < least {
			return "it is a number of " + unit + ", " + strconv.Itoa(least) + " or more"
		}
		return ""
	}
}

func duration(value string) string {
	if _, err := time.ParseDuration(value); err != nil {
		return "it is a duration with a unit, for example 30s or 5m"
	}
	return ""
}

func ports(value string) string {
	for port := range strings.SplitSeq(value, ",") {
		if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535) {
			return "it is a number from 1 to 65535"
		}
	}
	return ""
}

// hosts takes what stands alone as a host: in it brackets and a port are wrong.
func hosts(value string) string {
	for host := range strings.SplitSeq(value, ",") {
		_, err := netip.ParseAddr(host)
		socket := strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@")
		empty := host == "" && value != "" // it would be this machine's socket
		if empty || err != nil && !socket && (strings.ContainsAny(host, ":[%") || connurl.CheckHost(host) != nil) {
			return "it is names or addresses with commas between them, or the folder of a socket; the port is the parameter port"
		}
	}
	return ""
}

func methods(value string) string {
	known := []string{"none", "password", "md5", "scram-sha-256", "gss", "sspi", "oauth"}
	for method := range strings.SplitSeq(value, ",") {
		method, negated := strings.CutPrefix(strings.TrimSpace(method), "!")
		i := slices.Index(known, method)
		if value != "" && (i < 0 || negated != strings.HasPrefix(value, "!")) {
			return "it is scram-sha-256, md5, password, none, or several of them with commas, each once"
		}
		if value != "" {
			known[i] = ""
		}
	}
	return ""
}

func primary(value string) string {
	switch value {
	case "any", "read-write", "primary":
		return ""
	case "read-only", "standby", "prefer-standby":
		return "the service needs the primary, so write primary or read-write"
	}
	return "it is one of any, read-write, primary"
}

// certificates checks a file of certificate authorities, which pgx reads when it parses the URL.
func certificates(file string) string {
	if file == "" || file == "system" {
		return ""
	}
	pem, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "that file does not exist (in a container: is it mounted?)"
	case err != nil:
		return "that file cannot be read"
	case !x509.NewCertPool().AppendCertsFromPEM(pem):
		return "that file has no certificate in PEM form (-----BEGIN CERTIFICATE-----)"
	}
	return ""
}

func readable(file string) string {
	_, err := os.ReadFile(file)
	switch {
	case file == "" || err == nil:
		return ""
	case errors.Is(err, os.ErrNotExist):
		return "that file does not exist (in a container: is it mounted?)"
	}
	return "that file cannot be read"
}
