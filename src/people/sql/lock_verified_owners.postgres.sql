SELECT id, phone
FROM users
WHERE phone_key IN (SELECT value FROM json_array_elements_text($1::json))
    AND phone_verified_at IS NOT NULL AND deleted_at IS NULL
ORDER BY id
FOR NO KEY UPDATE
