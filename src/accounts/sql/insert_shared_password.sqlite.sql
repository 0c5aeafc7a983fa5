INSERT INTO credentials (user_id, password_hash, updated_at, version)
SELECT unhex(value ->> 'user_id'), ?2, ?3, 1
FROM jsonb_each(?1)
