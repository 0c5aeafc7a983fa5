INSERT INTO users (id, nickname, nickname_key, name, discoverable, two_factor_enabled, role, created_at, updated_at)
SELECT
    ('01900000-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid, 'player' || number, 'player' || number,
    'Player ' || number, TRUE, FALSE, 'PLAYER', now(), now()
FROM generate_series(1, $1) AS number
