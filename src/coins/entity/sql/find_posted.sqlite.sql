SELECT reference
FROM coin_entries
WHERE reference IN (SELECT value FROM json_each(?1))
