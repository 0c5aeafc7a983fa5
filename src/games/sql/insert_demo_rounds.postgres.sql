INSERT INTO rounds (
    id, user_id, game, status, seed_hash, seed, client_seed, move, outcome, won, points, is_counted, started_at,
    expires_at, played_at
)
SELECT
    id, user_id, game, 'PLAYED', decode(seed_hash, 'hex'), decode(seed, 'hex'), client_seed, move, outcome, won, points,
    true, started_at, expires_at, played_at
FROM json_to_recordset($1::json) AS new (
    id uuid, user_id uuid, game text, seed_hash text, seed text, client_seed text, move text, outcome integer,
    won boolean, points integer, started_at timestamptz, expires_at timestamptz, played_at timestamptz
)
