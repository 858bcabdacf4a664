-- What support staff did, and why. No role of the service may change or delete a row.
CREATE TABLE game.audit (
	id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at           timestamptz NOT NULL DEFAULT now(),
	who          text NOT NULL CHECK (who <> ''),
	action       text NOT NULL,
	user_id      {{.UserIDType.SQL}} NOT NULL, -- of the player; of a transfer: of the new owner
	from_user_id {{.UserIDType.SQL}},          -- of a transfer: of the old one
	character_id bigint,
	reason       text NOT NULL,
	before       jsonb NOT NULL DEFAULT '{}',
	after        jsonb NOT NULL DEFAULT '{}',
	request_id   uuid UNIQUE,
	request_hash bytea,
	CHECK ((request_id IS NULL) = (request_hash IS NULL))
);
CREATE INDEX audit_user ON game.audit (user_id, id);
CREATE INDEX audit_from_user ON game.audit (from_user_id, id) WHERE from_user_id IS NOT NULL;
CREATE INDEX audit_character ON game.audit (character_id, id) WHERE character_id IS NOT NULL;
CREATE INDEX audit_who ON game.audit (who, id);

-- What staff tell each other about a player.
CREATE TABLE game.note (
	id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at      timestamptz NOT NULL DEFAULT now(),
	who     text NOT NULL,
	user_id {{.UserIDType.SQL}} NOT NULL,
	text    text NOT NULL CHECK (text <> '')
);
CREATE INDEX note_user ON game.note (user_id, id);
