INSERT INTO coin_entries (user_id, number, id, amount, balance_after, reason, reference, created_at)
SELECT user_id, number, id, amount, balance_after, reason, reference, created_at
FROM json_to_recordset($1::json) AS new (
    user_id uuid, number bigint, id uuid, amount bigint, balance_after bigint, reason text, reference text,
    created_at timestamptz
)
