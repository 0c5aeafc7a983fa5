SELECT user_id, balance, entry_count, updated_at
FROM wallets
WHERE user_id IN (SELECT value::uuid FROM json_array_elements_text($1::json))
ORDER BY user_id
FOR UPDATE
