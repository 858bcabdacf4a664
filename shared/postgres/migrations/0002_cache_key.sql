-- The secret of the cache. Values in Redis are sealed under keys that derive from it and from the identity of this
-- database. Redis never sees it. To change it: UPDATE game.cache_key SET key = DEFAULT. Then all values are missed once.
-- gen_random_uuid has 122 random bits.
CREATE TABLE game.cache_key (
	one boolean PRIMARY KEY DEFAULT true CHECK (one),
	key bytea NOT NULL CHECK (octet_length(key) = 32) DEFAULT sha256(
		uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
);
INSERT INTO game.cache_key DEFAULT VALUES;
