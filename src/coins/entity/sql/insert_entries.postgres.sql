INSERT INTO coin_entries (user_id, number, id, amount, balance_after, reason, reference, note, created_at)
SELECT user_id, number, id, amount, balance_after, $3, reference, NULL, $2
FROM json_to_recordset($1::json) AS new (
    user_id uuid, number bigint, id uuid, amount bigint, balance_after bigint, reference text
)
ON CONFLICT (reference) DO NOTHING
