INSERT INTO campaigns (id, name, coins, message, credited, pending, expired, created_at)
VALUES (unhex('0190000000007000b000000000000000'), 'floor', 5, NULL, 0, 0, 0, '2026-01-02T03:04:05.123456+00:00');

-- SQLite has no hash functions: random bytes are as long, and come as little in order.
CREATE TEMPORARY TABLE candidates AS
SELECT
    unhex('0190000000007000c000' || printf('%012x', numbers.rowid)) AS id,
    numbers.phone, randomblob(32) AS hash, users.id AS user_id
FROM numbers
LEFT JOIN users ON users.phone_key = numbers.phone AND phone_verified_at IS NOT NULL AND deleted_at IS NULL;

INSERT INTO bonuses (number_hash, campaign_id, id, is_credited)
SELECT hash, unhex('0190000000007000b000000000000000'), id, user_id IS NOT NULL FROM candidates WHERE true
ON CONFLICT DO NOTHING;

INSERT INTO wallets (user_id, balance, entry_count, updated_at)
SELECT user_id, 5, 1, '2026-01-02T03:04:05.123456+00:00' FROM candidates WHERE user_id IS NOT NULL ORDER BY user_id
ON CONFLICT (user_id) DO UPDATE
SET balance = balance + 5, entry_count = entry_count + 1, updated_at = excluded.updated_at;

INSERT INTO coin_entries (user_id, number, id, amount, balance_after, reason, reference, note, created_at)
SELECT
    user_id, entry_count, id, 5, balance, 'BONUS', 'bonus:floor:msg_' || lower(hex(id)), NULL,
    '2026-01-02T03:04:05.123456+00:00'
FROM candidates JOIN wallets USING (user_id) WHERE true
ON CONFLICT (reference) DO NOTHING;

INSERT INTO messages (
    id, kind, phone, body, encoding, segments, campaign, status, attempts, manual_retries,
    created_at, queued_at, due_at, expires_at
)
SELECT
    id, 2, phone, 'Switchboard: a bonus from floor! Coins added to your account: 5.', 'GSM_7', 1, 'floor', 'QUEUED', 0, 0,
    '2026-01-02T03:04:05.123456+00:00', '2026-01-02T03:04:05.123456+00:00', '2026-01-02T03:04:05.123456+00:00',
    '2026-01-05T03:04:05.123456+00:00'
FROM candidates WHERE user_id IS NOT NULL;

DROP TABLE candidates;

DROP TABLE numbers
