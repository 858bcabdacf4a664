package migrations_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/osirose-new/database-service/shared/testenv"
)

// refused are statements that a stolen login of the service would try. The answer is 42501 (insufficient privilege).
var refused = map[string][]string{
	"read what the view does not show": {
		`SELECT * FROM "user"`, `SELECT email FROM "user"`, `SELECT count(*) FROM "user"`, `SELECT FROM "user" FOR UPDATE`,
		`SELECT * FROM session`, `SELECT token FROM session`, `SELECT id FROM session`, `SELECT count(*) FROM session`, `COPY session (token) TO STDOUT`,
		`SELECT * FROM account`, `SELECT password FROM account`, `SELECT * FROM verification`, `SELECT FROM game.users FOR UPDATE`,
		`SELECT * FROM game.audit`, `SELECT * FROM game.note`, `SELECT * FROM game.sessions_of('u1', 10)`,
		`SELECT * FROM pg_authid`, `SELECT * FROM pg_shadow`, `SELECT * FROM pg_statistic`, `SELECT * FROM pg_user_mapping`,
	},
	"write users and sessions": {
		`UPDATE "user" SET name = 'x'`, `UPDATE "user" SET role = 'admin'`, `UPDATE "user" SET banned = false`, `INSERT INTO "user" (id) VALUES ('x')`,
		`DELETE FROM "user"`, `TRUNCATE "user" CASCADE`, `UPDATE session SET token = 'x'`, `UPDATE session SET "expiresAt" = 'infinity'`,
		`UPDATE session SET "userId" = 'u1'`, `INSERT INTO session (id) VALUES ('x')`, `DELETE FROM session`, `TRUNCATE session`,
		`UPDATE account SET password = 'x'`, `INSERT INTO verification (id) VALUES ('x')`,
		`UPDATE game.users SET role = 'admin'`, `INSERT INTO game.users (id) VALUES ('x')`, `DELETE FROM game.users`,
	},
	"write the bookkeeping": {
		`INSERT INTO game.cache_change VALUES ('*', pg_current_xact_id())`, `UPDATE game.cache_change SET xid = xid`, `DELETE FROM game.cache_change`,
		`TRUNCATE game.cache_change`, `SELECT FROM game.cache_change FOR UPDATE`, `UPDATE game.cache_key SET key = DEFAULT`, `DELETE FROM game.cache_key`,
		`INSERT INTO game.audit (who, action, user_id, reason) VALUES ('x', 'x', 'u1', 'x')`, `UPDATE game.audit SET who = 'x'`, `DELETE FROM game.audit`,
		`INSERT INTO game.note (who, user_id, text) VALUES ('x', 'u1', 'x')`,
		`INSERT INTO game.migration (version) VALUES (99)`, `DELETE FROM game.migration`, `UPDATE game.adapter SET version = 99`, `UPDATE game.adapter SET session_cap_seconds = 1000000000`,
	},
	"delete, lock or move characters": {
		`DELETE FROM game.character`, `DELETE FROM game.character WHERE id = 1`, `TRUNCATE game.character`, `SELECT game.forget_characters()`,
		`LOCK TABLE game.character`, `LOCK TABLE game.character IN SHARE MODE`, `LOCK TABLE "user"`, `LOCK TABLE session`, `LOCK TABLE game.cache_change`,
		`UPDATE game.character SET id = DEFAULT`, `UPDATE game.character SET user_id = 'u1'`, `UPDATE game.character SET slot = 0`, `UPDATE game.character SET name = 'Admin'`,
		`UPDATE game.character SET created_at = now()`, `UPDATE game.character SET request_id = NULL`, `UPDATE game.character SET request_hash = NULL`,
		`UPDATE game.character SET money = 1, user_id = 'u1'`,
		`INSERT INTO game.character (id, user_id, slot, name, level, job, money) OVERRIDING SYSTEM VALUE VALUES (1, 'u1', 0, 'Hero1', 1, 0, 0)`,
		`INSERT INTO game.character (version, user_id, slot, name, level, job, money) VALUES (9, 'u1', 0, 'Hero1', 1, 0, 0)`,
		`INSERT INTO game.character (created_at, user_id, slot, name, level, job, money) VALUES ('2000-01-01', 'u1', 0, 'Hero1', 1, 0, 0)`,
		`INSERT INTO game.character (deleted_at, user_id, slot, name, level, job, money) VALUES ('2000-01-01', 'u1', 0, 'Hero1', 1, 0, 0)`,
		`INSERT INTO game.character (user_id, slot, name, level, job, money) VALUES ('u1', 0, 'Hero1', 1, 0, 0) ON CONFLICT (id) DO UPDATE SET user_id = 'u1'`,
		`SELECT setval('game.character_id_seq', 1)`, `SELECT nextval('game.character_id_seq')`,
	},
	"change objects": {
		`CREATE TABLE game.mine (x int)`, `CREATE VIEW game.mine AS SELECT 1`, `CREATE TYPE game.mine AS (x int)`, `CREATE SEQUENCE game.mine`, `CREATE SCHEMA mine`,
		`CREATE FUNCTION game.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'`, `CREATE EXTENSION citext`,
		`CREATE OR REPLACE FUNCTION game.ban_holds(banned boolean, ban_expires_at timestamptz, at timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT false'`,
		`ALTER FUNCTION game.session_by_id(text) SECURITY INVOKER`, `ALTER FUNCTION game.extend_session(text, interval, interval, interval) OWNER TO CURRENT_USER`,
		`ALTER FUNCTION game.extend_session(text, interval, interval, interval) RESET search_path`, `DROP FUNCTION game.session_by_id(text)`, `DROP VIEW game.users`,
		`DROP TABLE game.character`, `DROP SCHEMA game CASCADE`, `ALTER TABLE game.character ADD COLUMN mine int`, `ALTER TABLE game.character DISABLE TRIGGER log_change`,
		`ALTER TABLE "user" DISABLE TRIGGER database_service_log_change`, `ALTER VIEW game.users OWNER TO CURRENT_USER`, `CREATE INDEX ON game.character (money)`,
		`CREATE TRIGGER mine AFTER UPDATE ON game.character FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()`,
		`CREATE RULE mine AS ON UPDATE TO game.character DO INSTEAD NOTHING`, `COMMENT ON TABLE game.character IS 'mine'`, `REINDEX TABLE game.character`,
		`CREATE POLICY mine ON game.character`, `CREATE PUBLICATION mine FOR TABLE session`, `CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION game.log_truncate()`,
		`CREATE FOREIGN DATA WRAPPER mine`, `SELECT game.log_truncate()`, `SELECT game.log_user_change()`,
	},
	"become another role": {
		`SET ROLE web_application`, `SET ROLE database_service_owner`, `SET ROLE database_service_purge`, `SET ROLE database_service_staff`, `SET ROLE postgres`, `SET SESSION AUTHORIZATION postgres`,
		`CREATE ROLE mine`, `ALTER ROLE CURRENT_USER SUPERUSER`, `ALTER ROLE CURRENT_USER CREATEROLE`, `ALTER ROLE CURRENT_USER BYPASSRLS`, `ALTER ROLE web_application PASSWORD 'x'`,
		`ALTER ROLE database_service_owner LOGIN`, `ALTER ROLE database_service SET work_mem = '1GB'`, `DROP ROLE database_service_purge`,
		`GRANT database_service_owner TO CURRENT_USER`, `GRANT database_service_purge TO CURRENT_USER`, `GRANT database_service_staff TO CURRENT_USER`, `GRANT database_service TO web_application`, `GRANT SELECT ON session TO CURRENT_USER`,
		`GRANT SELECT ON "user" TO PUBLIC`, `ALTER DEFAULT PRIVILEGES FOR ROLE web_application GRANT SELECT ON TABLES TO CURRENT_USER`,
		`REASSIGN OWNED BY web_application TO CURRENT_USER`, `DROP OWNED BY database_service_owner`,
	},
	"use the server": {
		`SELECT pg_read_file('PG_VERSION')`, `SELECT pg_read_binary_file('PG_VERSION')`, `SELECT pg_ls_dir('.')`, `SELECT pg_stat_file('PG_VERSION')`, `SELECT pg_ls_logdir()`,
		`COPY game.users TO '/tmp/mine'`, `COPY (SELECT 1) TO PROGRAM 'true'`, `COPY game.character (name) FROM '/etc/passwd'`, `SELECT lo_import('/etc/passwd')`, `SELECT lo_export(1, '/tmp/mine')`,
		`SET session_replication_role = replica`, `SET log_statement = 'none'`, `SET log_min_duration_statement = 0`, `ALTER DATABASE template1 SET work_mem = '1GB'`,
		`SELECT pg_reload_conf()`, `SELECT pg_rotate_logfile()`, `SELECT pg_switch_wal()`, `SELECT pg_create_restore_point('mine')`, `SELECT pg_stat_reset()`, `CHECKPOINT`,
		`SELECT pg_create_physical_replication_slot('mine')`, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'`,
		`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'web_application'`,
	},
}

// allowed are statements that no right can refuse, or that the service needs. The README says what they can do.
var allowed = map[string][]string{
	"read and write as the service": {
		`SELECT * FROM game.users`, `SELECT key FROM game.cache_key`, `SELECT * FROM game.character`, `SELECT * FROM game.session_by_id('s1')`,
		`SELECT game.extend_session('s1', '100 years', '100 years', '0')`, `UPDATE game.character SET money = 1000000000`, `UPDATE game.character SET deleted_at = now()`,
		`INSERT INTO game.character (user_id, slot, name, level, job, money) VALUES ('u1', 9, 'Hero9', 1, 0, 0)`,
	},
	"hold locks": {
		`SELECT FROM game.character FOR UPDATE`, `LOCK TABLE game.character IN ACCESS SHARE MODE`, `SELECT pg_advisory_xact_lock(7305419223680118015)`,
		`SET statement_timeout = 0`, `SET lock_timeout = 0`, `SET idle_in_transaction_session_timeout = 0`, `ALTER ROLE CURRENT_USER SET statement_timeout = 0`,
	},
	"use memory, disk and time": {
		`CREATE TEMP TABLE mine (x int)`, `CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'`, `SELECT lo_from_bytea(0, 'x')`, `SET work_mem = '2GB'`,
		`DO $$ BEGIN PERFORM pg_sleep(0); END $$`, `SELECT pg_logical_emit_message(false, 'mine', 'x')`, `NOTIFY mine`, `LISTEN mine`,
	},
	"read the catalog": {
		`SELECT rolname FROM pg_roles`, `SELECT prosrc FROM pg_proc`, `SELECT attname FROM pg_attribute WHERE attrelid = 'account'::regclass`, `SELECT datname FROM pg_database`,
	},
	"change the own login": {`ALTER ROLE CURRENT_USER PASSWORD 'another'`},
}

// TestRefusedStatements runs both lists as the service's login, each statement in a transaction that is rolled back.
func TestRefusedStatements(t *testing.T) {
	t.Parallel()
	d := testenv.NewDatabase(t, "plugins")
	aSession(t, d, time.Hour)
	d.OwnerExec(t, `INSERT INTO game.character (user_id, slot, name, level, job, money) VALUES ('u1', 0, 'Hero0', 1, 0, 0)`)
	d.WebExec(t, `SELECT 1`) // leaves a connection that the service could end
	conn := service(t, d)
	try := func(sql string) error {
		t.Helper()
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback(t.Context()) }()
		_, err = tx.Exec(t.Context(), sql)
		return err
	}
	old := strings.HasPrefix(conn.PgConn().ParameterStatus("server_version"), "14.")
	number := 0
	for purpose, statements := range refused {
		for _, sql := range statements {
			number++
			err := try(sql)
			if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != "42501" {
				t.Errorf("to %s: %s = %v, want permission denied (42501)", purpose, sql, err)
			}
		}
	}
	for purpose, statements := range allowed {
		for _, sql := range statements {
			if err := try(sql); err != nil {
				t.Errorf("to %s: %s = %v, want success; if it is refused now, move it and mend the README", purpose, sql, err)
			}
		}
	}
	// From PostgreSQL 15 on only the owner of a database may create in its schema public.
	if err := try(`CREATE TABLE public.mine (x int)`); (err == nil) != old {
		t.Errorf("CREATE TABLE in public = %v, want success only on PostgreSQL 14", err)
	}
	if number < 60 {
		t.Errorf("%d statements are refused, want at least 60", number)
	}
	t.Logf("%d statements are refused", number)
}
