INSERT INTO rounds (
    id, user_id, game, status, seed_hash, seed, client_seed, move, outcome, won, points, is_counted, started_at,
    expires_at, played_at
)
SELECT
    unhex(value ->> 'id'), unhex(value ->> 'user_id'), value ->> 'game', 'PLAYED', unhex(value ->> 'seed_hash'),
    unhex(value ->> 'seed'), value ->> 'client_seed', value ->> 'move', value ->> 'outcome', value ->> 'won',
    value ->> 'points', true, value ->> 'started_at', value ->> 'expires_at', value ->> 'played_at'
FROM jsonb_each(?1)
