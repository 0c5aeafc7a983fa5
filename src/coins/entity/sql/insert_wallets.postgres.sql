INSERT INTO wallets (user_id, balance, entry_count, updated_at)
SELECT user_id, balance, entry_count, $2
FROM json_to_recordset($1::json) AS new (user_id uuid, balance bigint, entry_count bigint)
ORDER BY user_id
ON CONFLICT (user_id) DO NOTHING
