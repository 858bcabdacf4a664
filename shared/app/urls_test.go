package app_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/osirose-new/database-service/shared/config"
	"github.com/osirose-new/database-service/shared/testenv"
)

// secret stands where a wrong value has a password or a part of it.
const secret = "hunter2canary"

// caFile is a file with a certificate authority's certificate, and noPEM one without.
const caFile, noPEM = "testdata/ca.pem", "testdata/urls.txt"

var wrongDatabaseURLs = []string{
	`"postgres://u:hunter2canary@h/d"`, `'postgres://u:hunter2canary@h/d'`, "`postgres://h/d", `postgres://u:hunter2canary@h/d"`,
	"DATABASE_URL=postgres://u:hunter2canary@h/d", "export DATABASE_URL=postgres://h", "$DATABASE_URL", "${DATABASE_URL}", "$(cat /run/secret)",
	"psql postgres://u:hunter2canary@h/d", "psql 'postgresql://u:hunter2canary@h/d'", "postgres://u:hunter2canary@h/d\nx",
	"jdbc:postgresql://h/d?user=u&password=hunter2canary", "jdbc:postgresql:d", "prisma://accelerate.prisma-data.net/?api_key=hunter2canary",
	"prisma+postgres://accelerate.prisma-data.net/?api_key=hunter2canary", "postgresql+asyncpg://u:hunter2canary@h/d", "postgresql+psycopg2://h/d",
	"pgsql://u:hunter2canary@h/d", "pg://h/d", "postgis://h/d", "mysql://u:hunter2canary@h/d", "sqlite:///file", "redis://:hunter2canary@h:6379", "https://h",
	"ftp://u:hunter2canary@h", "h", "h:5432", "h/d", "postgres:/u:hunter2canary@h/d", "postgres//u:hunter2canary@h/d", "postgres:u:hunter2canary@h", "://h/d",
	"arn:aws:secretsmanager:eu-central-1:123456789012:secret:x", "postgres://", "postgres:///d", "postgres://u:hunter2canary@/d", "postgres://u:hunter2canary@:5432/d",
	"postgres://u:Top@hunter2canary!@h/d", "postgres://u:p@hunter2canary@h/d?sslmode=disable", "postgres://u:p/hunter2canary@h/d", "postgres://u@x:p/hunter2canary@h/d",
	"postgres://u:p@x/d?hunter2canary@h/d", "postgres://u:p@x/d?a=hunter2canary@h/d", "postgres://u:p@x#hunter2canary@h", "postgres://u:hunter2canary%@h/d", "postgres://u:hunter2canary%zz@h/d",
	"postgres://u:hunter2canary%00@h/d", "postgres://u:hunter2canary", "postgres://u:hunter2canary/d", "postgres://u:1:hunter2canary@h:1:2/d", "postgres://u:p@::1:5432/d", "postgres://u:p@[::1/d",
	"postgres://u:hunter2canary@<host>/d", "postgres://u:hunter2canary@h:port/d", "postgres://u:hunter2canary@h:65536/d", "postgres://u:hunter2canary@h:0/d",
	"postgres://h/d/e", "postgres://u:p@h/d?hunter2canary", "postgres://u:p@h/d?password=x&hunter2canary", "postgres://u:p@h/d?a b=c", "postgres://u:p@h/d?hunter2Canary=x",
	"postgres://h/d?sslmode=yes", "postgres://h/d?sslmode=", "postgres://h/d?sslmode=verify_full", "postgres://h/d?ssl=1", "postgres://h/d?ssl=no-verify",
	"postgres://h/d?sslrootcert=/hunter2canary", "postgres://h/d?sslrootcert=/", "postgres://h/d?sslrootcert=" + noPEM, "postgres://h/d?sslcert=" + caFile,
	"postgres://h/d?sslkey=/hunter2canary&sslcert=" + caFile, "postgres://h/d?sslcertmode=x", "postgres://h/d?sslnegotiation=x", "postgres://h/d?channel_binding=yes",
	"postgres://h/d?min_protocol_version=2", "postgres://h/d?target_session_attrs=standby", "postgres://h/d?target_session_attrs=master", "postgres://h/d?connect_timeout=5s",
	"postgres://h/d?default_query_exec_mode=transaction", "postgres://h/d?default_query_exec_mode=simple_protocol", "postgres://h/d?statement_cache_capacity=-1", "postgres://h/d?pool_max_conns=0", "postgres://h/d?pool_max_conns=hunter2canary",
	"postgres://h/d?pool_max_conn_lifetime=60", "postgres://h/d?pool_health_check_period=hunter2canary", "postgres://h/d?connection_limit=0", "postgres://h/d?port=x", "postgres://h/d?gssencmode=require",
	"postgres://h/d?pool_timeout=10", "postgres://h/d?socket_timeout=5", "postgres://h/d?statement_cache_size=0", "postgres://h/d?sslaccept=strict", "postgres://h/d?sslidentity=x",
	"postgres://h/d?uselibpqcompat=true", "postgres://h/d?max=5", "postgres://h/d?encoding=utf8", "postgres://h/d?supa=base-pooler.x", "postgres://h/d?currentSchema=x",
	"postgres://h/d?sslfactory=x", "postgres://h/d?prepareThreshold=0", "postgres://h/d?prepared_statements=false", "postgres://h/d?hostaddr=1.2.3.4", "postgres://h/d?replication=database",
	"postgres://h/d?load_balance_hosts=random", "postgres://h/d?pool_size=5", "postgres://h/d?max_connections=5", "postgres://h/d?ssl_mode=require", "postgres://h/d?tls=true",
	"postgres://h/d?ssl_ca=x", "postgres://h/d?timeout=5", "postgres://h/d?username=x", "postgres://h/d?pass=hunter2canary",
	"\ufeffpostgres://u:hunter2canary@h/d", "postgres://h/d\u200b", "postgres://u:hunter2canary@h\u00a0/d", "\u201cpostgres://u:hunter2canary@h/d\u201d", "(postgres://u:hunter2canary@h/d)", "<postgres://u:hunter2canary@h/d>", "postgres://u:hunter2canary@h/d -- x", "postgres://u:p hunter2canary@h/d",
	"psql -d postgres://u:hunter2canary@h/d", "pg_dump -d postgres://u:hunter2canary@h/d", "PGPASSWORD=hunter2canary psql -h h", "PGPASSWORD=hunter2canary", "set DATABASE_URL=postgres://u:hunter2canary@h/d", "setx DATABASE_URL postgres://u:hunter2canary@h/d", "$env:DATABASE_URL=\"postgres://u:hunter2canary@h/d\"", "export DATABASE_URL='postgres://u:hunter2canary@h/d'",
	"export  DATABASE_URL=postgres://u:hunter2canary@h/d", "DATABASE_URL: postgres://u:hunter2canary@h/d", "DATABASE_URL = postgres://u:hunter2canary@h/d", "database_url=postgres://u:hunter2canary@h/d", "-e DATABASE_URL=postgres://u:hunter2canary@h/d", "heroku config:set X=postgres://u:hunter2canary@h/d", "postgres://u:hunter2canary@$HOST/d", "postgres://u:hunter2canary@h/${DB}",
	"postgres://u:hunter2canary@h/<db>", "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:x", "Server=h;Port=5432;User Id=u;Password=hunter2canary;", "Host=h;Username=u;Password=hunter2canary", "host=h;password=hunter2canary;dbname=d", "password=hunter2canary;host=h", "Driver={PostgreSQL Unicode};Server=h;Pwd=hunter2canary", "DSN=d;UID=u;PWD=hunter2canary",
	"pgsql:host=h;dbname=d;password=hunter2canary", "host=h,password=hunter2canary", "host=h&password=hunter2canary", "host=h, password=hunter2canary", "host=h:5432", "host=[::1]", "host= dbname=d", "host=postgres://u:hunter2canary@h/d",
	"jdbc:aws-wrapper:postgresql://h/d?password=hunter2canary", "r2dbc:postgresql://u:hunter2canary@h/d", "postgresql+pg8000://u:hunter2canary@h/d", "postgres+asyncpg://u:hunter2canary@h/d", "ecto://u:hunter2canary@h/d", "postgressql://u:hunter2canary@h/d", "postgres://u:hunter2canary://b@h", "postgres://a,/d", "postgres://a,:5432/d", "postgres://,b/d", "host=a, dbname=d", "postgres://[]/d", "postgres://[1:2]/d",
	"postgres://[h]/d", "postgres://u:p@h:+5432/d", "postgres://u:p@h%0a/d", "postgres://h/d?host=a%20b", "postgres://h/d;password=hunter2canary", "postgres://h/d&password=hunter2canary", "postgres://h/d?user=u;password=hunter2canary", "postgres://h/d?client_encoding=LATIN1", "host=h client_encoding=SQL_ASCII", "postgres://h/d?pwd=hunter2canary",
	"postgres://h/d?passwd=hunter2canary", "postgres://h/d?require_auth=hunter2canary", "postgres://h/d?require_auth=md5,!none", "postgres://h/d?require_auth=md5,md5", "postgres://h/d?port=5432,5433", "host=a,b port=1,2,3", "service=hunter2canary", "postgres://h/d?service=hunter2canary&servicefile=/hunter2canary",
	"host=h password=p hunter2canary=x", "host=h password=p hunter2canary", "host=h nonsense=x", "user=u password=hunter2canary", "host=h sslmode=x", "host=h pool_max_conns=x", "dbname=d",
}

var rightDatabaseURLs = []string{
	"postgres://h", "postgres://h/d", "postgresql://u:p@h:5432/d", "POSTGRES://h/d", " postgres://h/d ", "postgres://h/d\n", "\tpostgres://h/d\r\n", "postgres://u@h/d", "postgres://u:@h/d",
	"postgres://u:p%40q%2Fr%25@h/d", "postgres://u:p?q#r@h/d", "postgres://u:p:q@h/d", "postgres://u:p'q\"r@h/d", "postgres://a,b:5433/d", "postgres://[::1]:5432/d", "postgres://[::1]/d", "postgres://127.0.0.1/d", "postgres://h:/d",
	"postgres://h/my%20d", "postgres:///d?host=/tmp", "postgres://u@/d?host=/tmp&port=5433", "postgres://h?sslmode=disable", "postgres://h/d?sslmode=verify-full&sslrootcert=system", "postgres://h/d?sslmode=verify-ca&sslrootcert=" + caFile,
	"postgres://h/d?sslmode=no-verify", "postgres://h/d?sslmode=no-verify&sslrootcert=/hunter2canary", "postgres://h/d?ssl=true", "postgres://h/d?schema=public", "postgres://h/d?pgbouncer=true", "postgres://h/d?pgbouncer=true&connection_limit=5&schema=public",
	"postgres://h/d?connection_limit=1", "postgres://h/d?pool_max_conns=5&connection_limit=1", "postgres://h/d?default_query_exec_mode=exec&pgbouncer=true", "postgres://h/d?pgbouncer=false", "postgres://h/d?channel_binding=require&sslmode=require",
	"postgres://h/d?options=endpoint%3Dx", "postgres://h/d?options=-c%20search_path%3Dx", "postgres://h/d?application_name=x&statement_timeout=500", "postgres://h/d?connect_timeout=5", "postgres://h/d?target_session_attrs=read-write",
	"postgres://h/d?keepalives=1&keepalives_idle=30", "postgres://h/d?gssencmode=disable", "postgres://h/d?user=me%40server&password=p", "postgres://h/d?pool_max_conn_lifetime=5m&pool_min_conns=1",
	"postgres://[fe80::1%25eth0]:5432/d", "postgres://h_1.example-x/d", "postgres://hä.de/d", "postgres://u:a;b=c@h/d", "postgres://u:p@%2Fvar%2Frun%2Fpostgresql:5433/d", "postgres://h/d?password=a;b", "postgres://h/a%20b%3Dc%26", "postgres://u:«p»@h/d", "postgres://h/d?require_auth=!password,!md5", "host=::1 port=5432", "host=a,b port=1,2", "host=@abstract", "host=h password='x;y=z'",
	"host=h dbname=d", "host=h user=u password='p q' dbname=d sslmode=disable", "host=/tmp password=a\\'b", "host = h", "host=h pool_max_conns=3 default_query_exec_mode=exec",
}

var wrongRedisURLs = []string{
	`"redis://:hunter2canary@h"`, "'redis://h'", "REDIS_URL=redis://h", "$REDIS_URL", "redis-cli -u redis://:hunter2canary@h", "redis://h\nx", "h", "h:6379", "127.0.0.1:6379", "redis:/h", "redis:h", "localhost", "none", "false", "OFF", "redis://off?cluster=maybe",
	"\ufeffredis://:hunter2canary@h", "\u201credis://:hunter2canary@h\u201d", "REDIS_URL: redis://:hunter2canary@h", "REDIS_URL = redis://:hunter2canary@h", "-e REDIS_URL=rediss://:hunter2canary@h", "redis://h;password=hunter2canary", "redis://h&x=1", "redis://$HOST:6379", "redis://[1:2]", "redis://h:+6379", "h:6380,password=hunter2canary,ssl=True",
	"redis-sentinel://h:26379/mymaster", "redis+sentinel://:hunter2canary@h:26379/mymaster/0", "sentinel://h", "redis://h1:26379,h2:26379/mymaster", "redis://h?master_name=x", "redis://h?sentinelMasterId=mymaster", "redis://h?sentinel=true",
	"redis-cluster://h", "redis+cluster://h", "redis+tls://h", "redis+ssl://h", "redis+unix:///s", "redis-socket:///s", "tcp://h:6379", "tls://h", "http://h", "https://h.upstash.io", "memcached://h", "postgres://u:hunter2canary@h/d", "amqp://u:hunter2canary@h",
	"redis://:hunter2canary%@h", "redis://:p/hunter2canary@h", "redis://:p?hunter2canary@h", "redis://:p#hunter2canary@h", "redis://:p[hunter2canary@h", "redis://:hunter2canary", "redis://h:port", "redis://h:65536", "redis://::1:6379", "redis://[::1", "redis://:p hunter2canary@h", "redis://:hunter2canary@<host>",
	"redis://h/x", "redis://h/-1", "redis://h/0/1", "redis://h?db=x", "redis://h/3?cluster=true", "redis://h?db=3&cluster=true", "redis://h?cluster=yes", "redis://h?cluster=True", "redis://h?hunter2canary", "redis://u:12?hunter2canary=1",
	"redis://h?nonsense=1", "redis://h?nonsense=1&cluster=true", "redis://h?addr=a:1", "redis://h?read_only=true", "rediss://h?skip_verify=true&cluster=true", "redis://h?skip_verify=true", "redis://h?idle_timeout=5&cluster=true", "redis://h?password=hunter2canary", "redis://h?username=x", "redis://h?ssl=true",
	"redis://h?tls=true", "redis://h?ssl_cert_reqs=none", "redis://h?ssl_ca_certs=x", "redis://h?family=6", "redis://h?database=3", "redis://h?socket_timeout=1", "redis://h?timeout=1", "redis://h?max_connections=1", "redis://h?pool_size=many", "redis://h?read_timeout=fast",
	"redis://h?pool_size=-5", "redis://h?pool_size=99999999", "redis://h?pool_size=-5&cluster=true", "redis://h?min_idle_conns=1000000", "redis://h?pipeline_pool_size=-2", "redis://h?pipeline_read_buffer_size=2147483647", "redis://h?protocol=9",
	"redis://h?read_timeout=-1", "redis://h?dial_timeout=-1s", "redis://h?client_name=a%20b", "redis://h?client_name=a%0Ab", "redis://h?dialer_retries=-1&cluster=true",
	"redis://h?pool_fifo=yes", "redis://h?addr=a&cluster=true", "unix://", "unix://s", "unix:///s?cluster=true",
}

var rightRedisURLs = []string{
	"redis://h", "redis://h:6379", "redis://h:6379/", "redis://h/3", "redis://h?db=3", "redis://:p@h", "redis://u:p@h", "redis://u@h", "redis://:p%40q@h", "redis://:p@q@h", "redis://:p:q@h", "rediss://h", "rediss://u:p@h:6380/0", "valkey://h", "valkeys://u:p@h", "VALKEY://h", "REDIS://h",
	" redis://h ", "redis://h\n", "redis://[::1]:6379", "redis://127.0.0.1", "redis://", "redis://:6379", "redis://h?cluster=true", "redis://h?cluster=1", "redis://h?cluster=false", "redis://h/0?cluster=true", "rediss://u:p@h?cluster=true&addr=h2:6379", "redis://h?read_timeout=100ms&write_timeout=1", "redis://h?pool_size=5", "redis://h?pipeline_pool_size=-1",
	"redis://h?client_name=x", "rediss://h?skip_verify=true", "unix:///run/redis.sock", "unix://u:p@/run/redis.sock?db=2", "redis://h?conn_max_idle_time=1m&conn_max_lifetime=1h", "redis://h?protocol=2", "redis://h?dial_timeout=0", "redis://h?cluster=true&max_redirects=3", "redis://h?pool_timeout=1s",
	"redis://h?min_idle_conns=1", "off", " off\n", "redis://off",
}

// TestURLs checks the operator's two URLs: right ones are accepted, and a wrong one is refused with a sentence that has no part
// of a password.
func TestURLs(t *testing.T) {
	t.Parallel()
	const rightDatabase, rightRedis = "postgres://h/d", "redis://h"
	check := func(database, redis string) error {
		c, err := config.Read(environment(map[string]string{"DATABASE_URL": database, "REDIS_URL": redis}))
		if err != nil {
			return err
		}
		return c.CheckURLs() // as app.Open
	}
	for _, u := range rightDatabaseURLs {
		if err := check(u, rightRedis); err != nil {
			t.Errorf("DATABASE_URL=%q: %v", u, err)
		}
	}
	for _, u := range rightRedisURLs {
		if err := check(rightDatabase, u); err != nil {
			t.Errorf("REDIS_URL=%q: %v", u, err)
		}
	}
	sentences := testenv.CollectSentences(t, "DATABASE_URL and REDIS_URL")
	wrong := func(variable, value string, err error) {
		if diff := cmp.Diff([]string{variable}, names(err)); diff != "" {
			t.Errorf("%s=%q: %v names (-want +got):\n%s", variable, value, err, diff)
		}
		if err != nil {
			if strings.Contains(strings.ToLower(err.Error()), secret) {
				t.Errorf("%s=%q: %v, which has a part of the password", variable, value, err)
			}
			sentences.Add(err.Error())
		}
	}
	for _, u := range wrongDatabaseURLs {
		wrong("DATABASE_URL", u, check(u, rightRedis))
	}
	for _, u := range wrongRedisURLs {
		wrong("REDIS_URL", u, check(rightDatabase, u))
	}
}
