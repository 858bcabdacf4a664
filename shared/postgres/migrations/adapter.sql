-- The adapter: what the service sees of better-auth's tables, whatever their names, columns and types are. A migration
-- makes it again whenever they change. The service reads them by the view and the functions only.
--
-- The service calls all this while it is replaced. A dropped function can fail a call that has already looked it up, so
-- functions are replaced and never dropped; a function with another signature gets another name. The order matters too:
-- first the lock on the user table, which may have to wait, and last the view, whose readers wait until the commit. Only to drop a
-- trigger, the view is locked first.

CREATE OR REPLACE FUNCTION game.log_user_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF TG_OP <> 'INSERT' THEN
		INSERT INTO game.cache_change AS c (key, xid) VALUES ('user:' || OLD.{{.User.Name "id"}}, pg_current_xact_id())
		ON CONFLICT (key) DO UPDATE SET xid = excluded.xid;
	END IF;
	IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND OLD.{{.User.Name "id"}} <> NEW.{{.User.Name "id"}}) THEN
		INSERT INTO game.cache_change AS c (key, xid) VALUES ('user:' || NEW.{{.User.Name "id"}}, pg_current_xact_id())
		ON CONFLICT (key) DO UPDATE SET xid = excluded.xid;
	END IF;
	IF TG_OP = 'DELETE' THEN
		-- A deleted user has no characters: their names are free again, and their rows stay for support.
		UPDATE game.character AS c SET deleted_at = now(), version = c.version + 1, updated_at = now()
		 WHERE c.user_id = OLD.{{.User.Name "id"}} AND c.deleted_at IS NULL;
	END IF;
	RETURN NULL;
END $$;

-- They run as their owner, so only their triggers may run them.
REVOKE ALL ON FUNCTION game.log_user_change(), game.log_character_change(), game.log_truncate() FROM PUBLIC;

-- Triggers of an earlier run, on another table or before -no-user-trigger. On a table that is no longer the user table they
-- would release the characters of users that still exist.
DO $$
DECLARE
	t record;
BEGIN
	FOR t IN
		SELECT g.tgname, g.tgrelid::regclass AS place
		  FROM pg_trigger AS g
		 WHERE g.tgname IN ('{{.Trigger "change"}}', '{{.Trigger "truncate"}}')
		   AND g.tgfoid IN ('game.log_user_change()'::regprocedure, 'game.log_truncate()'::regprocedure)
		   AND g.tgparentid = 0 -- else it goes with that of the partitioned table
{{- if .UserTrigger}}
		   AND g.tgrelid <> {{.Literal .User.Table}}::regclass
{{- end}}
	LOOP
		-- Readers lock the view first and then the table, and so does this: else each would wait for the other. It changes nothing.
		ALTER VIEW IF EXISTS game.users RESET (check_option);
		EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.place);
	END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
	RAISE EXCEPTION 'an earlier run made the trigger % on %, which only the owner of that table can drop: run this as the owner once',
		t.tgname, t.place USING ERRCODE = 'insufficient_privilege';
END $$;

{{if .UserTrigger -}}
CREATE OR REPLACE TRIGGER {{.Trigger "change"}} AFTER INSERT OR UPDATE OR DELETE ON {{.User.Table}}
	FOR EACH ROW EXECUTE FUNCTION game.log_user_change();
CREATE OR REPLACE TRIGGER {{.Trigger "truncate"}} AFTER TRUNCATE ON {{.User.Table}}
	FOR EACH STATEMENT EXECUTE FUNCTION game.log_truncate();
-- ALWAYS: the triggers also fire for rows that replication applies. Only the owner of the table may do this.
DO $$ BEGIN
	IF pg_has_role((SELECT c.relowner FROM pg_class AS c WHERE c.oid = {{.Literal .User.Table}}::regclass), 'USAGE') THEN
		ALTER TABLE {{.User.Table}} ENABLE ALWAYS TRIGGER {{.Trigger "change"}};
		ALTER TABLE {{.User.Table}} ENABLE ALWAYS TRIGGER {{.Trigger "truncate"}};
	END IF;
END $$;
{{- end}}

-- A caller's opaque user id in the type of the column, or NULL if it cannot be one. It accepts only the form that the
-- column prints: an id in another form would be cached under a key that no change deletes.
CREATE OR REPLACE FUNCTION game.user_id(id text) RETURNS {{.UserIDType.SQL}} LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
	$$ SELECT {{.UserIDCast "id"}} $$;

-- The ban rule: a ban without an end holds, and one with an end holds until then. Package users has it in Go as well, for
-- cached users.
CREATE OR REPLACE FUNCTION game.ban_holds(banned boolean, ban_expires_at timestamptz, at timestamptz)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT coalesce(banned AND coalesce(ban_expires_at > at, true), false) $$;

-- These compare in the type of the column, so that its index serves the lookup. PostgreSQL inlines them. The standard body
-- binds the operator now: it may be in the schema of an extension.
CREATE OR REPLACE FUNCTION game.login_is(login_key {{.LoginType.SQL}}, login text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN {{.LoginType.Equals .LoginCollated "login"}};
-- The same, for a caller who does not know the setting: of the name as it came, in lower and in upper case, it takes the form
-- that better-auth stores.
CREATE OR REPLACE FUNCTION game.login_matches(login_key {{.LoginType.SQL}}, as_typed text, in_lower text, in_upper text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN {{.LoginType.Equals .LoginCollated .LoginArgument}};
-- Whether a login or an e-mail address begins with a text. An index serves the range, whatever its collation is: U+10FFFF sorts after
-- every other character. starts_with leaves out what a collation sorts between.
CREATE OR REPLACE FUNCTION game.login_starts(login_key {{.LoginType.SQL}}, as_typed text, in_lower text, in_upper text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN {{.LoginCollated}} >= {{.LoginArgument}}::{{.LoginType.SQL}}
	AND {{.LoginCollated}} <= ({{.LoginArgument}} || chr(1114111))::{{.LoginType.SQL}} AND {{.LoginStarts}};
CREATE OR REPLACE FUNCTION game.email_starts(email_key {{.EmailType.SQL}}, email text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN {{.EmailCollated}} >= email::{{.EmailType.SQL}} AND {{.EmailCollated}} <= (email || chr(1114111))::{{.EmailType.SQL}} AND starts_with(email_key::text, email);
CREATE OR REPLACE FUNCTION game.email_is(email_key {{.EmailType.SQL}}, email text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN {{.EmailType.Equals .EmailCollated "email"}};

-- The only access to the session table. It is in plpgsql, because PostgreSQL plans a SECURITY DEFINER function in SQL anew
-- at each call. It is STABLE, so that it reads with the snapshot of the calling statement. No row: no such session. The caller
-- says whether p_token is a hash, which must be as the tokens are stored. A session of a removed user is none: better-auth
-- says the same, and a foreign key need not be there.
{{define "has user"}}EXISTS (SELECT FROM {{.User.Table}} AS u WHERE u.{{.User.Name "id"}} = {{.SessionUserID}}){{end}}
CREATE OR REPLACE FUNCTION game.session_by_token_as(p_token text, p_hashed boolean)
RETURNS TABLE (id text, user_id {{.UserIDType.SQL}}, created_at timestamptz, updated_at timestamptz, expires_at timestamptz,
	live boolean, expires_in_seconds bigint, ip_address text, user_agent text, impersonated boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF p_hashed IS DISTINCT FROM {{.TokensHashed}} THEN
		RAISE EXCEPTION 'session tokens are {{if not .TokensHashed}}not {{end}}stored as hashes here' USING ERRCODE = 'OS002';
	END IF;
	RETURN QUERY SELECT {{.SessionColumns}} FROM {{.Session.Table}} AS s
	 WHERE {{.Session.Equals "token" "p_token"}} AND {{template "has user" .}};
END $$;

-- For programs from before session_by_token_as. They send the token as it came.
CREATE OR REPLACE FUNCTION game.session_by_token(p_token text)
RETURNS TABLE (id text, user_id {{.UserIDType.SQL}}, created_at timestamptz, updated_at timestamptz, expires_at timestamptz,
	live boolean, expires_in_seconds bigint, ip_address text, user_agent text, impersonated boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY SELECT * FROM game.session_by_token_as(p_token, false);
END $$;

CREATE OR REPLACE FUNCTION game.session_by_id(p_id text)
RETURNS TABLE (id text, user_id {{.UserIDType.SQL}}, created_at timestamptz, updated_at timestamptz, expires_at timestamptz,
	live boolean, expires_in_seconds bigint, ip_address text, user_agent text, impersonated boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
{{- if .SerialSessionIDs}}
	-- Serial numbers can be guessed, and an id alone opens the session.
	RAISE EXCEPTION 'session ids are serial numbers here' USING ERRCODE = 'OS001';
{{- else}}
	RETURN QUERY SELECT {{.SessionColumns}} FROM {{.Session.Table}} AS s
	 WHERE {{.Session.Equals "id" "p_id"}} AND {{template "has user" .}};
{{- end}}
END $$;

-- For staff: the live sessions of a user, the newest first.
CREATE OR REPLACE FUNCTION game.sessions_of(p_user_id {{.UserIDType.SQL}}, p_limit int)
RETURNS TABLE (id text, user_id {{.UserIDType.SQL}}, created_at timestamptz, updated_at timestamptz, expires_at timestamptz,
	live boolean, expires_in_seconds bigint, ip_address text, user_agent text, impersonated boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RETURN QUERY SELECT {{.SessionColumns}} FROM {{.Session.Table}} AS s
	 WHERE {{.SessionUserID}} = p_user_id AND {{.Session.Time "expiresat"}} > now()
	 ORDER BY {{.Session.Time "createdat"}} DESC LIMIT p_limit;
END $$;

-- Moves the expiry of a live session later: to now + window, at most created_at + cap, and only if that gains at least
-- min_gain. The caller may lower window and cap, and raise min_gain. clock_timestamp() and greatest() are evaluated on the locked row, so they see a revocation or a refresh by
-- better-auth that committed while this waited for the lock. The 5 s: a web server whose clock is ahead may have revoked
-- the session by setting its expiry to its own "now".
CREATE OR REPLACE FUNCTION game.extend_session(p_id text, p_window interval, p_cap interval, p_min_gain interval)
RETURNS TABLE (expires_at timestamptz, expires_in_seconds bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	-- In seconds, because a month compares as 30 days and may add 31. NULL leaves the limit as it is.
	v_window   constant interval := make_interval(secs => greatest(0, least(extract(epoch FROM p_window), {{.Seconds .SessionWindow}})));
	v_cap      constant interval := make_interval(secs => greatest(0, least(extract(epoch FROM p_cap), {{.Seconds .SessionCap}})));
	v_min_gain constant interval := make_interval(secs => least(greatest(extract(epoch FROM p_min_gain), {{.Seconds .SessionMinGain}}), 1e9));
BEGIN
	-- A statement sees other rows as they were when it began. So the wait for this row, in which the user may be banned, comes first.
	PERFORM FROM {{.Session.Table}} AS s WHERE {{.Session.Equals "id" "p_id"}} FOR NO KEY UPDATE;
	RETURN QUERY
	UPDATE {{.Session.Table}} AS s
	   SET {{.Session.Name "expiresat"}} = {{.Session.FromTZ "expiresat" (printf "greatest(%s, least(clock_timestamp() + v_window, %s + v_cap))" (.Session.Time "expiresat") (.Session.Time "createdat"))}}
	  FROM {{.User.Table}} AS u
	 WHERE {{.Session.Equals "id" "p_id"}}
	   AND u.{{.User.Name "id"}} = {{.SessionUserID}}
	   AND {{.Session.Time "expiresat"}} > clock_timestamp() + interval '5 seconds'
	   AND least(clock_timestamp() + v_window, {{.Session.Time "createdat"}} + v_cap) >= {{.Session.Time "expiresat"}} + v_min_gain
	   AND isfinite({{.Session.Time "createdat"}}) -- least() would ignore NULL and infinity, and with them the cap
	   AND {{.Session.Text "impersonatedby"}} IS NULL
	   AND NOT game.ban_holds({{.User.Bool "banned"}}, {{.User.Time "banexpires"}}, clock_timestamp())
	RETURNING {{.Session.Time "expiresat"}}, floor(extract(epoch FROM {{.Session.Time "expiresat"}} - clock_timestamp()))::bigint;
END $$;

-- For the purge: deletes at most 100 rows of characters that have been gone for 30 days, and returns their number. A locked row
-- is left to the next purge. The rows change in the order of their users, because the trigger locks a user's line in the
-- change log: two purges in different orders would deadlock there. An array of one id per row cannot be hashed, so the rows
-- are looked up one by one, in that order. The request id goes with the row: no caller repeats a create after 30 days.
CREATE OR REPLACE FUNCTION game.forget_characters() RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	forgotten int;
BEGIN
	WITH old AS MATERIALIZED (
	       SELECT c.id, c.user_id
	         FROM game.character AS c
	        WHERE c.deleted_at < now() - interval '30 days'
	        ORDER BY c.deleted_at
	        LIMIT 100
	          FOR UPDATE SKIP LOCKED)
	DELETE FROM game.character AS c
	 USING (SELECT o.id FROM old AS o ORDER BY o.user_id, o.id) AS batch
	 WHERE c.id = ANY (ARRAY[batch.id]);
	GET DIAGNOSTICS forgotten = ROW_COUNT;
	RETURN forgotten;
END $$;

REVOKE ALL ON FUNCTION game.session_by_token_as(text, boolean), game.session_by_token(text), game.session_by_id(text),
	game.sessions_of({{.UserIDType.SQL}}, int), game.extend_session(text, interval, interval, interval), game.forget_characters() FROM PUBLIC;
{{- if .OwnerName}}

-- These functions run with the rights of a role that cannot log in and has the rights below only. A new owner must have CREATE
-- on the schema at that moment.
GRANT USAGE ON SCHEMA {{.OwnerSchemas}} TO {{.Owner}};
-- SELECT on the tables: a right on a column would go if the web application drops the column and adds it again.
GRANT SELECT ON {{.User.Table}}, {{.Session.Table}} TO {{.Owner}};
GRANT UPDATE ({{.Session.Name "expiresat"}}) ON {{.Session.Table}} TO {{.Owner}};
GRANT USAGE, CREATE ON SCHEMA game TO {{.Owner}};
GRANT SELECT, INSERT, UPDATE ON game.cache_change TO {{.Owner}};
GRANT SELECT, UPDATE ({{.FinishColumns}}), DELETE ON game.character TO {{.Owner}};
GRANT EXECUTE ON FUNCTION game.user_id(text), game.ban_holds(boolean, timestamptz, timestamptz) TO {{.Owner}};
{{- end}}
-- They have the rights of {{if .OwnerName}}that role{{else}}the role that runs this{{end}}, as if they were new.
ALTER FUNCTION game.session_by_token_as(text, boolean) OWNER TO {{.Owner}};
ALTER FUNCTION game.session_by_token(text) OWNER TO {{.Owner}};
ALTER FUNCTION game.session_by_id(text) OWNER TO {{.Owner}};
ALTER FUNCTION game.sessions_of({{.UserIDType.SQL}}, int) OWNER TO {{.Owner}};
ALTER FUNCTION game.extend_session(text, interval, interval, interval) OWNER TO {{.Owner}};
ALTER FUNCTION game.forget_characters() OWNER TO {{.Owner}};
ALTER FUNCTION game.log_user_change() OWNER TO {{.Owner}};
ALTER FUNCTION game.log_character_change() OWNER TO {{.Owner}};
ALTER FUNCTION game.log_truncate() OWNER TO {{.Owner}};
GRANT EXECUTE ON FUNCTION game.user_id(text), game.login_is({{.LoginType.SQL}}, text), game.email_is({{.EmailType.SQL}}, text),
	game.login_matches({{.LoginType.SQL}}, text, text, text), game.login_starts({{.LoginType.SQL}}, text, text, text),
	game.email_starts({{.EmailType.SQL}}, text), game.ban_holds(boolean, timestamptz, timestamptz),
	game.session_by_token_as(text, boolean), game.session_by_token(text), game.session_by_id(text),
	game.extend_session(text, interval, interval, interval) TO {{.Role}};

GRANT USAGE ON SCHEMA game TO {{.Role}};
GRANT SELECT ON game.migration, game.adapter, game.cache_change, game.cache_key TO {{.Role}};
-- Earlier versions granted the whole table. REVOKE takes the rights on its columns, too.
REVOKE ALL ON game.character FROM {{.Role}};
GRANT SELECT, INSERT ({{.InsertColumns}}), UPDATE ({{.UpdateColumns}}) ON game.character TO {{.Role}};
{{- if .PurgeName}}

GRANT USAGE ON SCHEMA game TO {{.Purge}};
GRANT SELECT (id, user_id, delete_at, {{.FinishColumns}}), UPDATE ({{.FinishColumns}}) ON game.character TO {{.Purge}};
GRANT EXECUTE ON FUNCTION game.forget_characters() TO {{.Purge}};
{{- end}}
{{- if .StaffName}}

GRANT USAGE ON SCHEMA game TO {{.Staff}};
GRANT UPDATE ({{.StaffColumns}}) ON game.character TO {{.Staff}};
GRANT SELECT ON game.audit, game.note TO {{.Staff}};
GRANT INSERT ({{.AuditColumns}}) ON game.audit TO {{.Staff}};
GRANT INSERT ({{.NoteColumns}}) ON game.note TO {{.Staff}};
GRANT EXECUTE ON FUNCTION game.sessions_of({{.UserIDType.SQL}}, int) TO {{.Staff}};
{{- end}}

-- Pointers from usernames were made by the other rule. Under another key they are not found.
UPDATE game.cache_key SET key = DEFAULT
 WHERE EXISTS (SELECT FROM game.adapter WHERE username_normalization <> {{.Literal .UsernameNormalization}});

-- Cached values may be of users whose changes were not logged until now.
INSERT INTO game.cache_change AS c (key, xid) VALUES ('*', pg_current_xact_id())
ON CONFLICT (key) DO UPDATE SET xid = excluded.xid;

INSERT INTO game.adapter AS a (version, fingerprint, sql_hash, auth_schema, role, user_table, user_trigger, names,
	username_normalization, session_token, session_window_seconds, session_cap_seconds, session_min_gain_seconds)
VALUES ({{.AdapterVersion}}, '{{.Fingerprint}}', '{{"{{hash}}"}}', {{.Literal .AuthSchema}}, {{.Literal .RoleName}}, {{.Literal .User.Table}}, {{.UserTrigger}}, {{.Literal .Names.String}},
	{{.Literal .UsernameNormalization}}, {{.Literal .SessionToken}}, {{.Seconds .SessionWindow}}, {{.Seconds .SessionCap}}, {{.Seconds .SessionMinGain}})
ON CONFLICT (one) DO UPDATE
	SET version = excluded.version, fingerprint = excluded.fingerprint, sql_hash = excluded.sql_hash,
	    auth_schema = excluded.auth_schema, role = excluded.role,
	    user_table = excluded.user_table, user_trigger = excluded.user_trigger, names = excluded.names,
	    username_normalization = excluded.username_normalization, session_token = excluded.session_token,
	    session_window_seconds = excluded.session_window_seconds, session_cap_seconds = excluded.session_cap_seconds,
	    session_min_gain_seconds = excluded.session_min_gain_seconds, applied_at = now();

-- Readers of the view wait for its replacement until the commit, so it is replaced only if it changed. Its comment tells:
-- the hash of its text, the table that the text means now, and the owner.
DO $adapter$
DECLARE
	query constant text := $query$
SELECT
	u.{{.User.Name "id"}}                 AS id,
	{{.User.Text "username"}}        AS username,
	{{.Login}}           AS login, -- not unique where it is the name
	{{.LoginKey}}        AS login_key, -- for game.login_is
	{{.User.Text "email"}}           AS email,
	u.{{.User.Name "email"}}         AS email_key, -- for game.email_is
	{{.User.Text "role"}}            AS role,
	{{.User.Text "name"}}            AS name,
	{{.User.Text "displayusername"}} AS display_username,
	{{.User.Bool "emailverified"}}   AS email_verified,
	{{.User.Text "image"}}           AS image,
	{{.User.Bool "banned"}}          AS banned,
	{{.User.Text "banreason"}}       AS ban_reason,
	{{.User.End "banexpires"}}      AS ban_expires_at,
	{{.User.Past "createdat"}}       AS created_at,
	{{.User.Past "updatedat"}}       AS updated_at,
	{{.UserTrigger}}     AS change_logged,
	{{.Literal .LoginForm}}::text    AS login_form -- which form of a name game.login_matches takes
FROM {{.User.Table}} AS u$query$;
	mark constant text := format('database-service migrate: %s %s %s', encode(sha256(convert_to(query, 'UTF8')), 'hex'),
		{{.Literal .User.Table}}::regclass::oid, {{if .OwnerName}}{{.Literal .OwnerName}}{{else}}current_user{{end}});
BEGIN
	IF obj_description(to_regclass('game.users'), 'pg_class') = mark THEN
		RETURN;
	END IF;
	BEGIN
		EXECUTE 'CREATE OR REPLACE VIEW game.users AS' || query;
	EXCEPTION WHEN invalid_table_definition THEN -- a column has another type
		DROP VIEW game.users;
		EXECUTE 'CREATE VIEW game.users AS' || query;
	END;
	ALTER VIEW game.users OWNER TO {{.Owner}};
	EXECUTE format('COMMENT ON VIEW game.users IS %L', mark);
END $adapter$;
GRANT SELECT ON game.users TO {{.Role}};
{{- if .OwnerName}}
REVOKE CREATE ON SCHEMA game FROM {{.Owner}};
{{- end}}

-- A column had another type. No statement uses these any more: it would have the view in use.
DO $$
DECLARE
	old regprocedure;
BEGIN
	FOR old IN
		SELECT p.oid
		  FROM pg_proc AS p
		 WHERE p.pronamespace = 'game'::regnamespace
		   AND (p.proname IN ('login_is', 'login_matches', 'login_starts') AND p.proargtypes[0] <> {{.Literal .LoginType.SQL}}::regtype
		        OR p.proname IN ('email_is', 'email_starts') AND p.proargtypes[0] <> {{.Literal .EmailType.SQL}}::regtype)
	LOOP
		EXECUTE format('DROP FUNCTION %s', old);
	END LOOP;
END $$;
