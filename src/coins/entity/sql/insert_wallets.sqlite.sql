INSERT INTO wallets (user_id, balance, entry_count, updated_at)
SELECT unhex(value ->> 'user_id'), value ->> 'balance', value ->> 'entry_count', ?2
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (user_id) DO NOTHING
