-- A leaderboard on which everybody is, with points that differ, and another with those who were there before.
INSERT INTO users (id, nickname, nickname_key, name, discoverable, two_factor_enabled, role, created_at, updated_at)
  SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid, 'player' || number, 'player' || number,
    'Player ' || number, TRUE, FALSE, 'PLAYER', now(), now()
  FROM generate_series((SELECT count(*) FROM users) + 1, {players}) AS number;

INSERT INTO board_places (user_id, board, minus_points, reached_at, rounds)
  SELECT id, 'ALL_TIME::COIN_FLIP', -20 * (abs(hashtext(id::text)::bigint) % 100000),
    timestamptz '2026-01-01' + row_number() OVER (ORDER BY id) * interval '1 second', 100
  FROM users;
INSERT INTO board_places (user_id, board, minus_points, reached_at, rounds)
  SELECT user_id, 'ALL_TIME::DICE', minus_points, reached_at, rounds
  FROM board_places JOIN users ON id = user_id WHERE nickname NOT LIKE 'player%';

-- As the product cuts a board into blocks: the first one begins before everybody.
WITH ranked AS (
  SELECT *, row_number() OVER (PARTITION BY board ORDER BY minus_points, reached_at, user_id) - 1 AS place
  FROM board_places
), blocks AS (
  SELECT DISTINCT ON (board, place / 1024) *, count(*) OVER (PARTITION BY board, place / 1024) AS places
  FROM ranked ORDER BY board, place / 1024, place
)
INSERT INTO board_blocks (board, minus_points, reached_at, user_id, places)
  SELECT board,
    CASE WHEN place = 0 THEN -9223372036854775808 ELSE minus_points END,
    CASE WHEN place = 0 THEN timestamptz '1970-01-01 00:00:00Z' ELSE reached_at END,
    CASE WHEN place = 0 THEN '00000000-0000-0000-0000-000000000000' ELSE user_id END,
    places
  FROM blocks;
