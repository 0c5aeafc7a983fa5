UPDATE wallets
SET balance = new.value ->> 'balance', entry_count = new.value ->> 'entry_count', updated_at = ?2
FROM jsonb_each(?1) AS new
WHERE wallets.user_id = unhex(new.value ->> 'user_id')
