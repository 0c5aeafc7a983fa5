INSERT INTO wallets (user_id, balance, entry_count, updated_at)
SELECT id, 5, 1, '2026-01-02T03:04:05.123456+00:00' FROM users ORDER BY id;

INSERT INTO coin_entries (user_id, number, id, amount, balance_after, reason, reference, note, created_at)
SELECT id, 1, id, 5, 5, 'BONUS', 'bench:' || nickname, NULL, '2026-01-02T03:04:05.123456+00:00' FROM users ORDER BY id;

INSERT INTO messages (
    id, kind, phone, body, encoding, segments, campaign, status, attempts, manual_retries,
    created_at, queued_at, due_at, expires_at
)
SELECT
    id, 2, '+3161' || printf('%07d', row_number() OVER (ORDER BY id)),
    'Hello ' || name || ', you have five more coins. Have fun!', 'GSM_7', 1, 'bench', 'QUEUED', 0, 0,
    '2026-01-02T03:04:05.123456+00:00', '2026-01-02T03:04:05.123456+00:00', '2026-01-02T03:04:05.123456+00:00',
    '2026-01-05T03:04:05.123456+00:00'
FROM users ORDER BY id
