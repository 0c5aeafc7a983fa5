INSERT INTO coin_entries (user_id, number, id, amount, balance_after, reason, reference, note, created_at)
SELECT
    unhex(value ->> 'user_id'), value ->> 'number', unhex(value ->> 'id'), value ->> 'amount',
    value ->> 'balance_after', ?3, value ->> 'reference', NULL, ?2
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (reference) DO NOTHING
