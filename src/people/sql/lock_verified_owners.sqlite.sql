SELECT id, phone
FROM users
WHERE phone_key IN (SELECT value FROM jsonb_each(?1))
    AND phone_verified_at IS NOT NULL AND deleted_at IS NULL
