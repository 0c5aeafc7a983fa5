SELECT amount, created_at
FROM coin_entries
WHERE reference IN (SELECT value FROM jsonb_each(?1))
