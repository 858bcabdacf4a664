-- What the last run was told about better-auth's tables. An older adapter may have added names itself.
ALTER TABLE game.adapter
	ADD COLUMN IF NOT EXISTS names text NOT NULL DEFAULT '', -- of better-auth's tables and columns, JSON
	ADD COLUMN username_normalization text NOT NULL DEFAULT 'lower' CHECK (username_normalization IN ('lower', 'upper', 'none')),
	ADD COLUMN session_token text NOT NULL DEFAULT 'plain' CHECK (session_token IN ('plain', 'sha256'));
