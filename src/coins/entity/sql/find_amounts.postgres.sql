SELECT amount, created_at
FROM coin_entries
WHERE reference IN (SELECT value FROM json_array_elements_text($1::json))
