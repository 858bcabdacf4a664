-- Users with a session and two characters each. The name of a user is its version, 1 at first.
INSERT INTO "user" (id, name, email, "emailVerified", "updatedAt", username, "displayUsername", role)
SELECT 'user-' || i, '1', 'user' || i || '@example.com', true, now(), 'user' || i, 'User' || i, 'user'
  FROM generate_series(1, %[1]d) AS i;

INSERT INTO session (id, token, "userId", "updatedAt", "expiresAt")
SELECT 'session-' || i, md5('token' || i), 'user-' || i, now(), now() + interval '7 days'
  FROM generate_series(1, %[1]d) AS i;

INSERT INTO game.character (user_id, slot, name, level, job, money)
SELECT 'user-' || i, slot, 'Hero-' || i || 'x' || slot, 1, 0, 0
  FROM generate_series(0, 1) AS slot, generate_series(1, %[1]d) AS i;
