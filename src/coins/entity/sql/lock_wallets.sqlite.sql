SELECT user_id, balance, entry_count, updated_at
FROM wallets
WHERE user_id IN (SELECT unhex(value) FROM jsonb_each(?1))
