INSERT INTO wallets (user_id, balance, entry_count, updated_at)
SELECT id, 5, 1, now() FROM users ORDER BY id;

INSERT INTO coin_entries (user_id, number, id, amount, balance_after, reason, reference, note, created_at)
SELECT id, 1, id, 5, 5, 'BONUS', 'bench:' || nickname, NULL, now() FROM users ORDER BY id;

INSERT INTO messages (
    id, kind, phone, body, encoding, segments, campaign, status, attempts, manual_retries,
    created_at, queued_at, due_at, expires_at
)
SELECT
    id, 2, '+3161' || lpad(row_number() OVER (ORDER BY id)::text, 7, '0'),
    'Hello ' || name || ', you have five more coins. Have fun!', 'GSM_7', 1, 'bench', 'QUEUED', 0, 0,
    now(), now(), now(), now() + interval '3 days'
FROM users ORDER BY id
