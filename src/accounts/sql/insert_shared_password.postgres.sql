INSERT INTO credentials (user_id, password_hash, updated_at, version)
SELECT user_id, $2, $3, 1
FROM json_to_recordset($1::json) AS new (user_id uuid)
