UPDATE wallets
SET balance = new.balance, entry_count = new.entry_count, updated_at = $2
FROM json_to_recordset($1::json) AS new (user_id uuid, balance bigint, entry_count bigint)
WHERE wallets.user_id = new.user_id
