INSERT INTO connection_calls
    (id, connection_id, called_at, method, path, status, error_code, duration_ms, attempts)
SELECT id, connection_id, called_at, method, path, status, error_code, duration_ms, attempts
FROM json_to_recordset($1::json) AS new (
    id uuid, connection_id uuid, called_at timestamptz, method text, path text, status integer, error_code text,
    duration_ms integer, attempts integer
)
ON CONFLICT (id) DO NOTHING
RETURNING called_at
