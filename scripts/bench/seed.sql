-- Users as better-auth's sign-up creates them, with a session each. The first ones have five characters each.
INSERT INTO "user" (id, name, email, "emailVerified", image, "createdAt", "updatedAt", username, "displayUsername", role)
SELECT md5('user' || i), 'Player ' || i, 'player' || i || '@example.com', true,
       'https://cdn.example.com/avatars/' || md5('image' || i) || '.png', now() + i * interval '1 ms', now(),
       'player' || i, 'Player' || i, 'user'
  FROM generate_series(1, %[1]d) AS i;

INSERT INTO session (id, token, "userId", "createdAt", "updatedAt", "expiresAt", "ipAddress", "userAgent")
SELECT md5('session' || i), md5('token' || i), md5('user' || i), now(), now(), now() + interval '7 days', '203.0.113.7',
       'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'
  FROM generate_series(1, %[1]d) AS i;

INSERT INTO game.character (user_id, slot, name, level, job, money, looks, stats, position, equipment)
SELECT md5('user' || i), slot, 'Hero-' || i || 'x' || slot, 42, 111, 123456,
       '{"race": 1, "face": 3, "hair": 5, "birth_stone": 2}',
       '{"strength": 90, "dexterity": 80, "intelligence": 15, "concentration": 40, "charm": 10, "sense": 10, "hp": 1500,
         "max_hp": 1500, "mp": 300, "max_mp": 300, "stamina": 5000, "experience": "1234567"}',
       '{"map_id": 20, "x": 530500, "y": 539500, "revive_map_id": 20, "revive_x": 530500, "revive_y": 539500}',
       '{"items": [{"uid": "6ecd8c99-4036-403d-bf84-cf8400f67836", "slot": 1, "type": 2, "item_id": 101, "durability": 50},
                   {"uid": "3f333df6-90a4-4fda-8dd3-9485d27cee36", "slot": 3, "type": 3, "item_id": 202, "durability": 50}]}'
  FROM generate_series(1, %[2]d) AS i, generate_series(0, 4) AS slot;

-- The first ones fill an answer of about 4 KB.
UPDATE game.character
   SET inventory = (
       SELECT jsonb_build_object('capacity', 120, 'items', jsonb_agg(jsonb_build_object('uid', gen_random_uuid(), 'slot', n,
              'type', n %% 10 + 1, 'item_id', 1000 + n, 'count', n, 'durability', 60, 'life', 1000)))
         FROM generate_series(1, 64) AS n)
 WHERE slot = 0;

-- The last ones have three characters with 30 items each, for FULL lists.
INSERT INTO game.character (user_id, slot, name, level, job, money, looks, stats, position, equipment, skills, inventory)
SELECT md5('user' || i), s, 'Full-' || i || 'x' || s, c.level, c.job, c.money, c.looks, c.stats, c.position, c.equipment,
       '{"skills": [{"skill_id": 11, "level": 3, "slot": 1}, {"skill_id": 12, "level": 1, "slot": 2}], "hotbar": [{"index": 1, "kind": 2, "ref": 11}]}',
       (SELECT jsonb_build_object('capacity', 120, 'items', jsonb_agg(jsonb_build_object('uid', gen_random_uuid(), 'slot', n,
               'type', n %% 10 + 1, 'item_id', 1000 + n, 'count', n, 'durability', 60, 'life', 1000)))
          FROM generate_series(1, 30) AS n)
  FROM generate_series(%[1]d - %[3]d + 1, %[1]d) AS i, generate_series(1, 3) AS s,
       (SELECT * FROM game.character WHERE user_id = md5('user1') AND slot = 1) AS c;
