INSERT INTO coin_entries (user_id, number, id, amount, balance_after, reason, reference, created_at)
SELECT
    unhex(value ->> 'user_id'), value ->> 'number', unhex(value ->> 'id'), value ->> 'amount',
    value ->> 'balance_after', value ->> 'reason', value ->> 'reference', value ->> 'created_at'
FROM jsonb_each(?1)
