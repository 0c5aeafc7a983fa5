INSERT INTO connection_calls
    (id, connection_id, called_at, method, path, status, error_code, duration_ms, attempts)
SELECT
    unhex(value ->> 'id'), unhex(value ->> 'connection_id'), value ->> 'called_at', value ->> 'method',
    value ->> 'path', value ->> 'status', value ->> 'error_code', value ->> 'duration_ms', value ->> 'attempts'
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (id) DO NOTHING
RETURNING called_at
