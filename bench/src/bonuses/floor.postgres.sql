INSERT INTO campaigns (id, name, coins, message, credited, pending, expired, created_at)
VALUES ('01900000-0000-7000-b000-000000000000', 'floor', 5, NULL, 0, 0, 0, now());

CREATE TEMPORARY TABLE candidates ON COMMIT DROP AS
SELECT
    ('01900000-0000-7000-c000-' || lpad(to_hex(row_number() OVER ()), 12, '0'))::uuid AS id,
    numbers.phone, sha256(convert_to(numbers.phone, 'UTF8')) AS hash, users.id AS user_id
FROM numbers
LEFT JOIN users ON users.phone_key = numbers.phone AND phone_verified_at IS NOT NULL AND deleted_at IS NULL;

INSERT INTO bonuses (number_hash, campaign_id, id, is_credited)
SELECT hash, '01900000-0000-7000-b000-000000000000', id, user_id IS NOT NULL FROM candidates
ON CONFLICT DO NOTHING;

INSERT INTO wallets (user_id, balance, entry_count, updated_at)
SELECT user_id, 5, 1, now() FROM candidates WHERE user_id IS NOT NULL ORDER BY user_id
ON CONFLICT (user_id) DO UPDATE
SET balance = wallets.balance + 5, entry_count = wallets.entry_count + 1, updated_at = now();

INSERT INTO coin_entries (user_id, number, id, amount, balance_after, reason, reference, note, created_at)
SELECT user_id, entry_count, id, 5, balance, 'BONUS', 'bonus:floor:' || id, NULL, now()
FROM candidates JOIN wallets USING (user_id)
ON CONFLICT (reference) DO NOTHING;

INSERT INTO messages (
    id, kind, phone, body, encoding, segments, campaign, status, attempts, manual_retries,
    created_at, queued_at, due_at, expires_at
)
SELECT
    id, 2, phone, 'Switchboard: a bonus from floor! Coins added to your account: 5.', 'GSM_7', 1, 'floor', 'QUEUED', 0, 0,
    now(), now(), now(), now() + interval '3 days'
FROM candidates WHERE user_id IS NOT NULL;
