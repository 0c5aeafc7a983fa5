-- A large leaderboard with all users, and a small one with those who existed before.
INSERT INTO users (id, nickname, nickname_key, name, discoverable, two_factor_enabled, role, created_at, updated_at)
  SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid, 'player' || number, 'player' || number,
    'Player ' || number, TRUE, FALSE, 'PLAYER', now(), now()
  FROM generate_series((SELECT count(*) FROM users) + 1, {players}) AS number;

INSERT INTO leaderboard_rows (user_id, leaderboard_key, negated_points, reached_at, rounds)
  SELECT id, 'ALL_TIME::COIN_FLIP', -20 * (abs(hashtext(id::text)::bigint) % 100000),
    timestamptz '2026-01-01' + row_number() OVER (ORDER BY id) * interval '1 second', 100
  FROM users;
INSERT INTO leaderboard_rows (user_id, leaderboard_key, negated_points, reached_at, rounds)
  SELECT user_id, 'ALL_TIME::DICE', negated_points, reached_at, rounds
  FROM leaderboard_rows JOIN users ON id = user_id WHERE nickname NOT LIKE 'player%';

-- As Switchboard cuts a leaderboard into buckets: the first one starts ahead of all rows.
WITH ranked AS (
  SELECT *, row_number() OVER (PARTITION BY leaderboard_key ORDER BY negated_points, reached_at, user_id) - 1 AS row_index
  FROM leaderboard_rows
), buckets AS (
  SELECT DISTINCT ON (leaderboard_key, row_index / 1024) *, count(*) OVER (PARTITION BY leaderboard_key, row_index / 1024) AS row_count
  FROM ranked ORDER BY leaderboard_key, row_index / 1024, row_index
)
INSERT INTO leaderboard_buckets (leaderboard_key, negated_points, reached_at, user_id, row_count)
  SELECT leaderboard_key,
    CASE WHEN row_index = 0 THEN -9223372036854775808 ELSE negated_points END,
    CASE WHEN row_index = 0 THEN timestamptz '1970-01-01 00:00:00Z' ELSE reached_at END,
    CASE WHEN row_index = 0 THEN '00000000-0000-0000-0000-000000000000' ELSE user_id END,
    row_count
  FROM buckets;
