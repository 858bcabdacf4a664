package cache

import (
	"errors"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/osirose-new/database-service/shared/connurl"
)

const (
	exampleURL = "redis://:password@host:6379"
	sentinel   = "is a URL for Redis Sentinel, which is not supported: write redis://host:6379 of an address that always leads to the primary, " +
		"or ?cluster=true with a Redis Cluster"
	manyHosts = "has several hosts: for a Redis Cluster write one of its nodes and ?cluster=true; Redis Sentinel is not supported"
)

// schemes says for each usual wrong scheme what to write instead.
var schemes = map[string]string{
	"redis-sentinel":  sentinel,
	"redis+sentinel":  sentinel,
	"rediss+sentinel": sentinel,
	"sentinel":        sentinel,
	"valkey-sentinel": sentinel,
	"redis-cluster":   "begins with redis-cluster://: write redis://host:6379?cluster=true",
	"redis+cluster":   "begins with redis+cluster://: write redis://host:6379?cluster=true",
	"rediss+cluster":  "begins with rediss+cluster://: write rediss://host:6379?cluster=true",
	"redis+tls":       "begins with redis+tls://: write rediss://",
	"redis+ssl":       "begins with redis+ssl://: write rediss://",
	"redis-ssl":       "begins with redis-ssl://: write rediss://",
	"redis+unix":      "begins with redis+unix://: write unix:///path/of/the/socket",
	"redis-socket":    "begins with redis-socket://: write unix:///path/of/the/socket",
	"tcp":             "begins with tcp://: write redis://",
	"tls":             "begins with tls://: write rediss://",
	"http":            "is a web address; write " + exampleURL,
	"https":           "is a web address; write the address for Redis clients, rediss://default:password@host:6379",
	"memcached":       "is a memcached URL; the service needs Redis or Valkey, " + exampleURL,
	"postgres":        "is a PostgreSQL URL, which belongs into DATABASE_URL; write " + exampleURL,
	"postgresql":      "is a PostgreSQL URL, which belongs into DATABASE_URL; write " + exampleURL,
}

// both are the parameters that single nodes and clusters have.
var both = map[string]func(string) string{
	"protocol": number(2, 3), "client_name": oneWord, "max_retries": number(-1, 100), "min_retry_backoff": duration, "max_retry_backoff": duration,
	"dial_timeout": timeout, "read_timeout": timeout, "write_timeout": timeout, "pool_timeout": timeout, "pool_fifo": boolean,
	"pool_size": number(0, maxConns), "min_idle_conns": number(0, maxConns), "max_idle_conns": number(0, maxConns), "max_active_conns": number(0, maxConns),
	"max_concurrent_dials": number(0, maxConns), "pipeline_pool_size": number(-1, maxConns),
	"pipeline_read_buffer_size": number(0, maxBuffer), "pipeline_write_buffer_size": number(0, maxBuffer),
	"conn_max_idle_time": duration, "conn_max_lifetime": duration, "conn_max_lifetime_jitter": duration, "cluster": boolean,
}

const (
	maxConns  = 65535   // a Redis has as many ports for one client
	maxBuffer = 1 << 24 // bytes of each connection
)

var (
	singleOnly  = map[string]func(string) string{"db": database, "idle_timeout": duration, "max_conn_age": duration, "skip_verify": boolean}
	clusterOnly = map[string]func(string) string{
		"addr": address, "max_redirects": number(0, 100), "read_only": boolean, "route_by_latency": boolean, "route_by_latency_tolerance": duration,
		"route_randomly": boolean, "dialer_retries": number(0, 100), "dialer_retry_timeout": duration, "failing_timeout_seconds": number(0, 86400),
	}
)

// foreign are parameters of other clients.
var foreign = map[string]string{
	"password": "is not supported: write the password in front of the host, " + exampleURL,
	"username": "is not supported: write the user in front of the host, redis://user:password@host:6379",
	"user":     "is not supported: write the user in front of the host, redis://user:password@host:6379",
	"ssl":      "is not known: write rediss:// for TLS", "tls": "is not known: write rediss:// for TLS", "ssl_cert_reqs": "belongs to redis-py: write rediss://, and skip_verify=true for a certificate that is not checked",
	"ssl_ca_certs": "belongs to redis-py: add the authority to the system's certificates (SSL_CERT_FILE)", "family": "belongs to ioredis: remove it",
	"database": "is not known: write /3 behind the host, or db=3", "socket_timeout": "belongs to redis-py: write read_timeout and write_timeout",
	"timeout": "is not known: write read_timeout and write_timeout", "max_connections": "is not known: write pool_size", "protocol_version": "is not known: remove it",
	"master_name": "belongs to " + sentinelName, "mastername": "belongs to " + sentinelName, "sentinelmasterid": "belongs to " + sentinelName,
	"sentinel": "belongs to " + sentinelName, "sentinels": "belongs to " + sentinelName, "service_name": "belongs to " + sentinelName,
}

const sentinelName = "Redis Sentinel. It is not supported: write redis://host:6379 of an address that always leads to the primary"

// parseURL returns the URL as go-redis reads it, and whether it names a cluster. Its error names what is wrong.
func parseURL(redisURL string) (u *url.URL, cluster bool, err error) {
	raw := strings.TrimSpace(redisURL)
	if err := connurl.CheckText(raw, exampleURL); err != nil {
		return nil, false, err
	}
	scheme, rest, isURL := strings.Cut(raw, "://")
	switch scheme = strings.ToLower(scheme); {
	case !isURL:
		return nil, false, errors.New("is not a URL: write " + exampleURL + ", rediss:// for TLS, or off for no cache")
	case scheme == "valkey" || scheme == "valkeys":
		scheme = strings.Replace(scheme, "valkey", "redis", 1)
	case scheme == "unix":
	case scheme != "redis" && scheme != "rediss":
		if problem, known := schemes[scheme]; known {
			return nil, false, errors.New(problem)
		}
		return nil, false, errors.New("does not begin with redis://, rediss://, valkey:// or valkeys://: write " + exampleURL)
	}
	params, err := splitURL(rest)
	if err != nil {
		return nil, false, err
	}
	if u, err = url.Parse(scheme + "://" + rest); err != nil {
		return nil, false, errors.New("has a character that must be escaped: in user and password write %20 for a space, %22 for a quote, %23 for #, %2F for /, %3F for ?, %5B for [")
	}
	if params, cluster, err = checkParams(params, scheme); err != nil {
		return nil, false, err
	}
	u.RawQuery = connurl.Query(params)
	return u, cluster, checkPath(u, cluster)
}

// splitURL checks the part behind the scheme, and returns the parameters. The user ends at the last @ before a slash, as in net/url.
func splitURL(rest string) ([]connurl.Param, error) {
	if err := connurl.CheckEscapes(rest); err != nil {
		return nil, err
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host := rest[strings.LastIndexByte(rest[:end], '@')+1 : end]
	if strings.ContainsAny(rest[end:], "@#") {
		return nil, errors.New("has an @ or # behind its host: write %2F for a / in the user or the password, %3F for a ?, %23 for a #, and elsewhere %40 for an @")
	}
	if strings.Contains(host, ",") {
		return nil, errors.New(manyHosts)
	}
	if err := connurl.CheckHost(host); err != nil {
		return nil, err
	}
	_, query, _ := strings.Cut(rest[end:], "?")
	return connurl.Params(query)
}

// checkParams also removes the parameter cluster.
func checkParams(params []connurl.Param, scheme string) (_ []connurl.Param, cluster bool, err error) {
	for _, p := range params {
		cluster = cluster || p.Name == "cluster" && (p.Value == "true" || p.Value == "1")
	}
	known, others := maps.Clone(both), clusterOnly
	if cluster {
		others = singleOnly
		maps.Copy(known, clusterOnly)
	} else {
		maps.Copy(known, singleOnly)
	}
	for _, p := range params {
		check, is := known[p.Name]
		switch problem := foreign[strings.ToLower(p.Name)]; {
		case problem != "":
			return nil, false, errors.New("has the parameter " + p.Name + ", which " + problem)
		case others[p.Name] != nil && cluster && p.Name == "db":
			return nil, false, errClusterDatabase
		case others[p.Name] != nil && cluster:
			return nil, false, errors.New("has the parameter " + p.Name + ", which a cluster does not have")
		case others[p.Name] != nil:
			return nil, false, errors.New("has the parameter " + p.Name + ", which only a cluster has (is ?cluster=true missing?)")
		case !is: // not repeated: it may be a part of a password
			return nil, false, errors.New("has an unknown parameter (supported: " + strings.Join(slices.Sorted(maps.Keys(known)), ", ") + ")")
		case p.Name == "skip_verify" && scheme != "rediss":
			return nil, false, errors.New("has skip_verify without TLS: write rediss://")
		}
		if problem := check(p.Value); problem != "" {
			return nil, false, errors.New("has a wrong " + p.Name + ": " + problem)
		}
	}
	return slices.DeleteFunc(params, func(p connurl.Param) bool { return p.Name == "cluster" }), cluster, nil
}

var errClusterDatabase = errors.New("has a database number and cluster=true: a Redis Cluster has only the database 0, so remove the number or cluster=true")

func checkPath(u *url.URL, cluster bool) error {
	path := strings.Trim(u.Path, "/")
	switch {
	case u.Scheme == "unix" && (path == "" || u.Host != ""):
		return errors.New("has no path of a socket: write unix:///path/of/the/socket")
	case u.Scheme == "unix" && cluster:
		return errors.New("has a socket and cluster=true: write redis://host:6379?cluster=true")
	case u.Scheme == "unix" || path == "":
		return nil
	case database(path) != "":
		return errors.New("has a wrong database behind its host: " + database(path))
	case cluster && path != "0":
		return errClusterDatabase
	case u.Host == "" && u.User == nil:
		return errors.New("has no host: write " + exampleURL)
	}
	return nil
}

func oneWord(value string) string {
	if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "it is one word of ASCII characters"
	}
	return ""
}

// number bounds what go-redis takes as it is: a negative size of a pool panics, and a huge one takes all memory.
func number(least, most int64) func(string) string {
	return func(value string) string {
		if n, err := strconv.ParseInt(value, 10, 64); err != nil || n < least || n > most {
			return "it is a number from " + strconv.FormatInt(least, 10) + " to " + strconv.FormatInt(most, 10)
		}
		return ""
	}
}

func database(value string) string {
	if n, err := strconv.ParseUint(value, 10, 16); err != nil || n > 65535 {
		return "it is a number, 0 or more"
	}
	return ""
}

func boolean(value string) string {
	if !slices.Contains([]string{"true", "1", "false", "0", ""}, value) {
		return "it is true or false"
	}
	return ""
}

func duration(value string) string {
	if _, err := time.ParseDuration(value); err != nil && number(math.MinInt32, math.MaxInt32)(value) != "" {
		return "it is a number of seconds or a duration with a unit, for example 100ms"
	}
	return ""
}

// timeout refuses what go-redis takes as no limit: then a Redis that hangs would take a request's whole second.
func timeout(value string) string {
	if problem := duration(value); problem != "" || !strings.HasPrefix(value, "-") {
		return problem
	}
	return "it must not be negative"
}

func address(value string) string {
	if host, port, _ := strings.Cut(value, ":"); host == "" || port == "" || connurl.CheckHost(value) != nil {
		return "it is host:port"
	}
	return ""
}
