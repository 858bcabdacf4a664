-- The service's own part of the database: the schema game with the characters and the change log. {{.UserIDType}} is the
-- type of better-auth's user ids in this database. adapter.sql grants the rights; it runs again if the role changes.

CREATE SCHEMA game;

CREATE TABLE game.migration (
	version    int PRIMARY KEY,
	applied_at timestamptz NOT NULL DEFAULT now()
);

-- The state of the database when the adapter last ran. By it /readyz reports that the adapter must run again.
CREATE TABLE game.adapter (
	one          boolean PRIMARY KEY DEFAULT true CHECK (one),
	version      int NOT NULL,
	fingerprint  text NOT NULL, -- of better-auth's tables
	sql_hash     text NOT NULL,
	auth_schema  text NOT NULL, -- of better-auth's tables; empty: they are in two schemas
	role         text NOT NULL, -- with the rights
	user_table   text NOT NULL,
	user_trigger boolean NOT NULL,
	applied_at   timestamptz NOT NULL DEFAULT now()
);

-- One row for each entity: the last transaction that changed it. The cache asks for the changes after its snapshot.
CREATE TABLE game.cache_change (
	key text PRIMARY KEY,
	xid xid8 NOT NULL
);
CREATE INDEX cache_change_xid ON game.cache_change (xid);

CREATE TABLE game.character (
	id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id           {{.UserIDType.SQL}} NOT NULL,
	slot              smallint NOT NULL CHECK (slot BETWEEN 0 AND 31),
	name              text NOT NULL CHECK (name ~ '^[A-Za-z0-9_-]{4,20}$'),
	name_key          text NOT NULL GENERATED ALWAYS AS (lower(name COLLATE "C")) STORED,
	version           bigint NOT NULL DEFAULT 1,
	level             int NOT NULL CHECK (level >= 1),
	job               int NOT NULL CHECK (job >= 0),
	money             bigint NOT NULL CHECK (money >= 0),
	looks             jsonb NOT NULL DEFAULT '{}',
	stats             jsonb NOT NULL DEFAULT '{}',
	position          jsonb NOT NULL DEFAULT '{}',
	equipment         jsonb NOT NULL DEFAULT '{}',
	inventory         jsonb NOT NULL DEFAULT '{}',
	skills            jsonb NOT NULL DEFAULT '{}',
	extra             jsonb NOT NULL DEFAULT '{}',
	play_seconds      bigint NOT NULL DEFAULT 0 CHECK (play_seconds >= 0),
	created_at        timestamptz NOT NULL DEFAULT now(),
	updated_at        timestamptz NOT NULL DEFAULT now(),
	last_played_at    timestamptz,
	delete_at         timestamptz, -- the deadline, while marked for deletion
	deleted_at        timestamptz, -- when it was deleted; equal to delete_at if the deadline passed
	request_id        uuid,        -- of its CreateCharacter
	request_hash      bytea,
	last_save_id      uuid,
	last_save_version bigint,
	CHECK ((request_id IS NULL) = (request_hash IS NULL))
);
-- The first two enforce unique names and one character per slot under any concurrency.
CREATE UNIQUE INDEX character_name_key ON game.character (name_key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX character_slot ON game.character (user_id, slot) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX character_request ON game.character (user_id, request_id) WHERE request_id IS NOT NULL;
-- For the purge: characters whose deletion is due, and rows to remove.
CREATE INDEX character_due ON game.character (delete_at) WHERE delete_at IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX character_gone ON game.character (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE FUNCTION game.log_character_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	-- The row as it was and as it is may belong to different owners where somebody moves a character by hand.
	old_owner text := CASE WHEN TG_OP <> 'INSERT' THEN 'characters:' || OLD.user_id END;
	new_owner text := CASE WHEN TG_OP <> 'DELETE' THEN 'characters:' || NEW.user_id END;
BEGIN
	INSERT INTO game.cache_change AS c (key, xid)
	VALUES ('character:' || CASE WHEN TG_OP = 'DELETE' THEN OLD.id ELSE NEW.id END, pg_current_xact_id()),
	       (coalesce(new_owner, old_owner), pg_current_xact_id())
	ON CONFLICT (key) DO UPDATE SET xid = excluded.xid;
	IF old_owner <> new_owner THEN
		INSERT INTO game.cache_change AS c (key, xid) VALUES (old_owner, pg_current_xact_id())
		ON CONFLICT (key) DO UPDATE SET xid = excluded.xid;
	END IF;
	RETURN NULL;
END $$;

-- After a TRUNCATE the deleted keys are unknown: '*' means all of them.
CREATE FUNCTION game.log_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	INSERT INTO game.cache_change AS c (key, xid) VALUES ('*', pg_current_xact_id())
	ON CONFLICT (key) DO UPDATE SET xid = excluded.xid;
	RETURN NULL;
END $$;

CREATE TRIGGER log_change AFTER INSERT OR UPDATE OR DELETE ON game.character
	FOR EACH ROW EXECUTE FUNCTION game.log_character_change();
CREATE TRIGGER log_truncate AFTER TRUNCATE ON game.character
	FOR EACH STATEMENT EXECUTE FUNCTION game.log_truncate();
-- ALWAYS: the triggers also fire for rows that replication applies.
ALTER TABLE game.character ENABLE ALWAYS TRIGGER log_change;
ALTER TABLE game.character ENABLE ALWAYS TRIGGER log_truncate;
