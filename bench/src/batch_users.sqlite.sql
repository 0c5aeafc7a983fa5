WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < ?1)
INSERT INTO users (id, number, nickname, nickname_key, name, discoverable, two_factor_enabled, role, created_at, updated_at)
SELECT
    unhex('01900000000070008000' || printf('%012x', number)), number, 'player' || number, 'player' || number,
    'Player ' || number, TRUE, FALSE, 'PLAYER', '2026-01-02T03:04:05+00:00', '2026-01-02T03:04:05+00:00'
FROM numbers
