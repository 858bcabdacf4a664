-- What a save contained: SaveCharacter compares it if the save's id comes again. save_hash belongs to the save that made
-- the version save_hash_version. A program that does not know these columns leaves them as they are, so save_hash counts
-- only while save_hash_version equals last_save_version.
ALTER TABLE game.character
	ADD COLUMN save_hash bytea,
	ADD COLUMN save_hash_version bigint;
