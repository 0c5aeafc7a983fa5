SELECT user_id, balance, entry_count, updated_at
FROM wallets
WHERE user_id IN (SELECT unhex(value) FROM json_each(?1))
