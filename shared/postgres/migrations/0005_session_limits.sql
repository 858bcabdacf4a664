-- The limits of game.extend_session. Its arguments can only lower window and cap, and only raise the smallest gain.
ALTER TABLE game.adapter
	ADD COLUMN session_window_seconds int NOT NULL DEFAULT 3600 CHECK (session_window_seconds > 0),
	ADD COLUMN session_cap_seconds int NOT NULL DEFAULT 2592000 CHECK (session_cap_seconds > 0),
	ADD COLUMN session_min_gain_seconds int NOT NULL DEFAULT 300 CHECK (session_min_gain_seconds > 0);
